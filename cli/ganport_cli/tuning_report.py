"""What tuning shows to people: a progress bar, a table of plans, the choice for each batch size, and refusals."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ganport_cli.terminal import console, progress, table

if TYPE_CHECKING:
    from ganport_runtime.tuning.record import MeasuredPlan
    from ganport_runtime.tuning.tuner import Tuning

__all__ = ["show_choices", "show_tuning", "tuning_progress"]


@contextmanager
def tuning_progress() -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar, and what moves it: steps done, steps in all, what is being done; Ctrl-C is answered."""
    with progress("steps") as bar:
        task = bar.add_task("tuning", total=None, note="")
        try:
            yield lambda done, total, text: bar.update(task, completed=done, total=total, note=text)
        except KeyboardInterrupt:
            bar.stop()
            console().print("the tuning was not finished: nothing of it was remembered", markup=False, soft_wrap=True)
            raise
        bar.update(task, completed=bar.tasks[0].total, note="")


def show_tuning(tuning: "Tuning") -> None:
    """Show everything that was measured, chosen and refused."""
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
    screen.print("\n".join(line for line in lines if line), markup=False, soft_wrap=True)


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
    console().print("\n".join(lines), markup=False, soft_wrap=True)


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
    """An id without its role, which is the same for every plan of a table."""
    return entry.removeprefix(f"{tuning.record.role}-")


def _refusals(tuning: "Tuning") -> list[tuple[str, str, str]]:
    """Every reason once for each way to run, with all that it holds for."""
    entries: dict[tuple[str, str], list[str]] = {}
    for refusal in tuning.refused:
        entries.setdefault((refusal.runner, refusal.reason), []).append(_short(refusal.entry, tuning))
    return [(", ".join(names), runner, reason) for (runner, reason), names in entries.items()]
