"""`ganport tune`: measures every plan of a bundle on this machine and remembers the best within a budget."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ganport_cli.plan_options import BundleArgument
from ganport_cli.terminal import Json, console, print_json, progress, say, table

if TYPE_CHECKING:
    from ganport_runtime.tuning.record import MeasuredPlan
    from ganport_runtime.tuning.tuner import Tuning

MinPsnr = Annotated[
    float,
    typer.Option(min=0, max=100, help="The least mean PSNR in dB against the fp32 images; worse plans are refused."),
]
MaxWorst = Annotated[
    int | None, typer.Option(min=0, max=255, help="The largest difference of any pixel value, of 255; not given: any.")
]
ForBatch = Annotated[
    int | None,
    typer.Option(min=1, help="The batch size that the plan is chosen for; not given: all batch sizes alike."),
]
Seconds = Annotated[float, typer.Option(min=1, help="About how long it may take; what it leaves out is said.")]


def tune(
    bundle: BundleArgument,
    min_psnr: MinPsnr = 35.0,
    max_worst: MaxWorst = None,
    seconds: Seconds = 100.0,
    for_batch: ForBatch = None,
    json: Json = False,
) -> None:
    """Measure every plan of a bundle on this machine, and remember the fastest within the budget.

    One plan serves every batch size, so that an image of a seed does not depend on how many are made at once.

    Example: ganport tune emoji.ganport --min-psnr 38
    """
    for option, number in (("--min-psnr", min_psnr), ("--seconds", seconds)):
        if not math.isfinite(number):
            raise typer.BadParameter(f"{option} is {number}, wanted a finite number")
    from ganport_runtime import PlanError
    from ganport_runtime.tuning.record import Budget
    from ganport_runtime.tuning.tuner import tune as measure

    with tuning_progress() as show:
        tuning = measure(
            bundle, budget=Budget(min_psnr, max_worst), seconds=seconds, for_batch=for_batch, on_progress=show
        )
    _show(tuning)
    if json:
        print_json(tuning.to_json())
    if tuning.file is None:
        raise PlanError(tuning.note)


@contextmanager
def tuning_progress() -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar, and what moves it: steps done, steps in all, what is being done; Ctrl-C is answered."""
    with progress("steps") as bar:
        task = bar.add_task("tuning", total=None, note="")
        try:
            yield lambda done, total, text: bar.update(task, completed=done, total=total, note=text)
        except KeyboardInterrupt:
            bar.stop()
            say("the tuning was not finished: nothing of it was remembered")
            raise
        bar.update(task, completed=bar.tasks[0].total, note="")


def _show(tuning: "Tuning") -> None:
    screen = console()
    buckets = sorted(tuning.best)
    columns = ("variant or engine", "by", "with", "runs in", *map(str, buckets), "ms at 1", "PSNR dB", "worst", "MiB")
    rows = [_row(plan, buckets, tuning) for plan in tuning.record.plans]
    mark = "best, not remembered" if tuning.file is None else "remembered"
    title = f"Images/s by batch size, within {tuning.record.budget}; * {mark}"
    screen.print(table(title, columns, rows))
    show_choices(tuning)
    if tuning.refused:
        screen.print(table("Refused", ("variant or engine", "by", "reason"), _refusals(tuning)))
    where = "" if tuning.file is None else f"; remembered in {tuning.file}"
    lines = [f"compared with {tuning.reference}; took {tuning.seconds:.0f} s{where}", tuning.cut]
    say("\n".join(line for line in lines if line))


def show_choices(tuning: "Tuning") -> None:
    """Show the plan that serves all batch sizes, how sure that is, and what plans for each batch size would add."""
    from ganport_runtime.tuning.tuner import title

    plan = tuning.chosen
    lines = [f"plan: {title(plan)}", *_certainty(tuning)]
    for bucket, speed in plan.images_per_second.items():
        speedup = tuning.speedup(bucket, plan)
        times = "" if speedup is None else f", {speedup:.2f} times the untuned plan"
        lines.append(f"batch {bucket}: {speed:.0f} images/s{times}")
    added = tuning.plans_per_batch()
    if added["plans"] > 1:
        most = max(tuning.gains, key=lambda bucket: tuning.gains[bucket])
        memory = "" if added["memory_mib"] is None else f" ({added['memory_mib']:.0f} MiB)"
        lines.append(
            f"a plan for each batch size would add {added['adds_percent']:.0f} % "
            f"(batch {most}: {tuning.gains[most]:.0f} %), hold {added['plans']} plans in memory{memory}, and make "
            "the images of a seed differ between batch sizes: Generator.open(..., one_plan=False)"
        )
    say("\n".join(lines))


def _certainty(tuning: "Tuning") -> list[str]:
    choice = tuning.record.choice
    if choice is None or not choice.runner_up:
        return []
    interval = f"{choice.lead:.2f} times as fast ({choice.low:.2f} to {choice.high:.2f}) as {choice.runner_up}"
    if choice.certain:
        return [f"certain after {choice.rounds} rounds: {interval}"]
    return [f"not certain after {choice.rounds} rounds, so fewer settings were preferred: {interval}"]


def _row(plan: "MeasuredPlan", buckets: list[int], tuning: "Tuning") -> tuple[str, ...]:
    speeds = [
        f"{plan.images_per_second[bucket]:.0f}{'*' if tuning.chosen is plan else ''}"
        if bucket in plan.images_per_second
        else "-"
        for bucket in buckets
    ]
    runner = plan.backend if plan.device == "cpu" else f"{plan.backend}, {plan.device}"
    memory = "unknown" if plan.memory_mib is None else f"{plan.memory_mib:.0f}"
    quality = (f"{plan.psnr_db_mean:.1f}", f"{plan.psnr_db_worst:.1f}")
    name = _short(plan.entry, tuning)
    return name, runner, _options(plan.options), plan.precision, *speeds, f"{plan.latency_ms(1):.2f}", *quality, memory


def _options(options: Mapping[str, str]) -> str:
    """Words that speak for themselves stand alone: bf16, dynamic, throughput."""
    return ", ".join(
        value if value.isalpha() or key == "precision_hint" else f"{key} {value}" for key, value in options.items()
    )


def _short(entry: str, tuning: "Tuning") -> str:
    return entry.removeprefix(f"{tuning.record.role}-")  # the same for every plan of a table


def _refusals(tuning: "Tuning") -> list[tuple[str, str, str]]:
    entries: dict[tuple[str, str], list[str]] = {}
    for refusal in tuning.refused:
        entries.setdefault((refusal.runner, refusal.reason), []).append(_short(refusal.entry, tuning))
    return [(", ".join(names), runner, reason) for (runner, reason), names in entries.items()]
