"""Tunes a bundle: tries every plan once, measures the fastest in turns at each bucket, and remembers what it found."""

import datetime as dt
import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ganport_runtime import Bundle, BundleError, Generator, InputError, PlanError, latents, machine
from ganport_runtime.backends import engine_versions
from ganport_runtime.batches import BUCKETS, TOP, bucket_of
from ganport_runtime.errors import whole_number
from ganport_runtime.opening import open_candidate
from ganport_runtime.plan import Candidate, PlanRequest, Refusal, by_reason, list_plans
from ganport_runtime.tuning.record import Budget, MeasuredPlan, TunedChoice, TuningRecord, save, winners
from ganport_runtime.tuning.timing import ROUNDS, Race, turns_of
from ganport_runtime.tuning.trials import Family, FieldOfTrials, PlanTrial, RefusedPlan, TuningReference, families

Progress = Callable[[int, int, str], None]
"""Told how many steps are done, of how many, and what comes next."""
IMAGES, SEED = 256, 2**63 + 3  # whose images are compared with the reference: a seed that nothing else uses
SECONDS = 100.0
TRYING = 0.65  # of the time goes to trying plans out, the rest to measuring the fastest in turns
REFERENCE_SECONDS = 2.0
MOST_BATCH = 2**31 - 1
TURN_SECONDS = 0.02  # a plan's turn lasts about this long: far above the clock's own cost


class TuningSteps:
    """Tells `on_progress` of every step as it begins, of `total` as far as is known."""

    def __init__(self, on_progress: Progress, total: int) -> None:
        self._on_progress, self._done, self._total = on_progress, 0, total

    def add(self, count: int) -> None:
        """There are so many more."""
        self._total += count

    def begin(self, text: str) -> None:
        """The next one begins."""
        self._on_progress(self._done, self._total, text)
        self._done += 1


@dataclass(frozen=True)
class Tuning:
    """The outcome of one tuning."""

    record: TuningRecord  # every plan measured that is within the budget, the one for all batch sizes first
    file: Path | None  # None where it could not be written
    note: str  # why not, or empty
    reference: str  # the plan whose images the others were compared with
    untuned: MeasuredPlan | None  # the plan that runs without tuning
    refused: tuple[RefusedPlan, ...]  # every other plan, with its reason
    cut: str  # what was left out for lack of time, or empty
    seconds: float

    @property
    def chosen(self) -> MeasuredPlan:
        """The plan that serves every batch size."""
        return self.record.plans[0]

    @property
    def best(self) -> dict[int, MeasuredPlan]:
        """The best plan for each bucket, as `one_plan=False` uses them."""
        return {bucket: plans[0] for bucket, plans in winners(self.record.plans).items()}

    @property
    def gains(self) -> dict[int, float]:
        """By bucket, how many per cent more images/s its best plan makes than the one for all; 0 where that is it."""
        own = self.chosen.images_per_second
        return {
            bucket: max(0.0, 100 * (plan.images_per_second[bucket] / own[bucket] - 1))
            for bucket, plan in self.best.items()
            if bucket in own
        }

    def to_json(self) -> dict[str, Any]:
        """The document of `ganport tune --json`."""
        record = self.record
        return {
            "bundle": record.bundle,
            "digest": record.digest,
            "host": {**record.machine, "engines": dict(record.engines)},
            "budget": asdict(record.budget),
            "reference": self.reference,
            "choice": {"plan": title(self.chosen), **(asdict(record.choice) if record.choice else {})},
            "plans_per_batch": self.plans_per_batch(),
            "buckets": {str(bucket): self._choice(bucket, plan) for bucket, plan in self.best.items()},
            "plans": [{"plan": title(plan), **plan.to_json()} for plan in record.plans],
            "refused": [{"plan": refusal.plan, "reason": refusal.reason} for refusal in self.refused],
            "record": None if self.file is None else str(self.file),
            "note": "; ".join(text for text in (self.note, self.cut) if text),
            "seconds": round(self.seconds, 1),
        }

    def speedup(self, bucket: int, plan: MeasuredPlan) -> float | None:
        """How many times as fast as the untuned plan one is, or None where that was not measured."""
        measured = self.untuned is not None and bucket in self.untuned.images_per_second.keys() & plan.images_per_second
        if self.untuned is None or not measured:
            return None
        return plan.images_per_second[bucket] / self.untuned.images_per_second[bucket]

    def plans_per_batch(self) -> dict[str, Any]:
        """What a plan for each batch size would add, and what it would cost."""
        plans = {title(plan): plan for plan in self.best.values()}
        memory = [plan.memory_mib for plan in plans.values()]
        known = [one for one in memory if one is not None]
        gains = self.gains
        mean = math.exp(sum(math.log1p(gain / 100) for gain in gains.values()) / max(1, len(gains))) - 1
        return {
            "adds_percent": round(100 * mean, 1),
            "adds_percent_by_batch": {str(bucket): round(gain, 1) for bucket, gain in gains.items()},
            "plans": len(plans),
            "memory_mib": round(sum(known), 1) if len(known) == len(memory) else None,
        }

    def _choice(self, bucket: int, plan: MeasuredPlan) -> dict[str, Any]:
        speedup, figures = self.speedup(bucket, plan), plan.to_json()
        return {
            "plan": title(plan),
            "entry": plan.entry,
            "backend": plan.backend,
            "device": plan.device,
            "options": dict(plan.options),
            "precision": plan.precision,
            "images_per_second": figures["images_per_second"][str(bucket)],
            "latency_ms": figures["latency_ms"][str(bucket)],
            "psnr_db_mean": plan.psnr_db_mean,
            "times_untuned": None if speedup is None else round(speedup, 3),
        }


def title(plan: MeasuredPlan) -> str:
    """What people call a plan."""
    options = "".join(f", {key} {value}" for key, value in plan.options.items())
    return f"{plan.entry} by {plan.backend} on {plan.device}{options}"


def tune(
    path: str | PathLike[str],
    *,
    budget: Budget | None = None,
    seconds: float = SECONDS,
    for_batch: int | None = None,
    on_progress: Progress = lambda *_: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Tuning:
    """Measure every plan of a bundle's generator here, and remember which is best within a budget.

    One plan is chosen for all batch sizes. The fastest take turns until it is certain which is ahead, or the time is
    up; where nothing is certain, the plan with the fewest settings is taken of those that may be the fastest.

    Args:
        path: the bundle.
        budget: how far a plan's images may be from the fp32 reference; None: a mean PSNR of 35 dB.
        seconds: about how long it may take, above 0; what it leaves out for that is said.
        for_batch: the batch size that the plan for all of them is chosen for; None: all buckets alike.
        on_progress: told of every step.
        clock: seconds.

    Raises BundleError for a damaged bundle, PlanError where no fp32 plan or none within the budget runs here,
    InputError for wrong arguments.
    """
    if not seconds > 0:  # NaN neither
        raise InputError(f"seconds is {seconds}, wanted a number above 0")
    if for_batch is not None:
        whole_number("for_batch", for_batch, 1, MOST_BATCH)
    begun = clock()
    goal = BUCKETS if for_batch is None else (bucket_of(min(for_batch, TOP)),)
    bundle, limits = Bundle.open(path), budget or Budget()
    bundle.verify()
    reference = _reference(bundle, clock)
    untuned = next(iter(list_plans(bundle, "generator", PlanRequest())[0]), None)
    found, refused = families(bundle, "generator")
    found.sort(key=lambda family: family.first != untuned)
    steps = TuningSteps(on_progress, len(found) + ROUNDS)
    with closing(FieldOfTrials(bundle, reference, limits, untuned, goal)) as field:
        skipped = _try_out(field, found, steps, lambda: clock() - begun < TRYING * seconds)
        for candidate in skipped:
            field.refuse(candidate, f"not measured: {seconds:g} s are over")
        if not field.open:
            reasons = "; ".join(f"{refusal.plan}: {refusal.reason}" for refusal in field.refused)
            raise PlanError(f"no plan of {bundle.path} runs here within {limits}: {reasons or 'none was tried'}")
        record = _record(bundle, field, limits, *_choose(field, for_batch, steps, lambda: clock() - begun < seconds))
    file, note = _saved(record, bundle)
    cut = f"{len(skipped)} plans were not measured, for {seconds:g} s are over; --seconds gives more"
    return Tuning(
        record=record,
        file=file,
        note=note,
        reference=str(reference.plan),
        untuned=next((plan for plan in record.plans if title(plan) == str(untuned)), None),
        refused=(*refused, *field.refused),
        cut=cut if skipped else "",
        seconds=clock() - begun,
    )


def _record(bundle: Bundle, field: FieldOfTrials, budget: Budget, chosen: str, choice: TunedChoice) -> TuningRecord:
    return TuningRecord(
        digest=bundle.digest,
        bundle=str(bundle.path.resolve()),
        role="generator",
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        budget=budget,
        machine=machine.facts(),
        engines=engine_versions(),
        plans=tuple(sorted(field.plans, key=lambda plan: title(plan) != chosen)),
        choice=choice,
    )


def _choose(
    field: FieldOfTrials, for_batch: int | None, steps: TuningSteps, has_time: Callable[[], bool]
) -> tuple[str, TunedChoice]:
    """Let the fastest plans take turns, put their medians in the place of rough figures, and choose one."""
    finalists = {bucket: field.finalists(bucket) for bucket in BUCKETS}
    field.keep(trial for trials in finalists.values() for trial in trials)
    trials = {str(trial.candidate): trial for trial in field.open}
    systems = {
        name: {bucket: turns_of(trial.call(bucket), TURN_SECONDS) for bucket in BUCKETS if trial in finalists[bucket]}
        for name, trial in trials.items()
    }
    race = Race(systems, {name: dict(trial.seconds) for name, trial in trials.items()}, field.goal)

    def on_round(number: int, plans: int) -> None:
        steps.add(number > ROUNDS)
        steps.begin(f"round {number}: {plans} plans in turns")

    race.run(has_time, on_round)
    chosen, runner_up, lead = race.choose({name: trial.extra_settings for name, trial in trials.items()})
    for name, turns in systems.items():
        for bucket in turns:
            trials[name].seconds[bucket] = race.seconds(name, bucket)
    if lead is None:
        return chosen, TunedChoice(for_batch, "", 1.0, 1.0, 1.0, race.rounds, True)
    ratio, low, high = (float(f"{one:.4g}") for one in (lead.ratio, lead.low, lead.high))
    return chosen, TunedChoice(for_batch, runner_up or "", ratio, low, high, lead.rounds, lead.is_certain)


def _reference(bundle: Bundle, clock: Callable[[], float]) -> TuningReference:
    """The images of the fp32 plan that runs without tuning, on the CPU where it can; PlanError where none runs."""
    available, refusals = list_plans(bundle, "generator", PlanRequest(precision="fp32"))
    for candidate in sorted(available, key=lambda candidate: candidate.device != "cpu"):
        try:
            running = open_candidate(bundle, "generator", candidate, Generator.signature)
        except (PlanError, BundleError) as error:
            refusals.append(Refusal(candidate, str(error)))
            continue
        with Generator(bundle, dict.fromkeys(BUCKETS, running)) as generator:
            return _images(candidate, generator, clock)
    raise PlanError(f"no fp32 plan of {bundle.path} runs here, to compare the others with: {by_reason(refusals)}")


def _images(candidate: Candidate, generator: Generator, clock: Callable[[], float]) -> TuningReference:
    """As many images as are made in a second or two, a multiple of the top bucket, `IMAGES` at most."""
    first = generator.sample(TOP, seed=SEED)
    begun = clock()
    generator.sample(TOP, seed=SEED)
    batches = int(REFERENCE_SECONDS / max(clock() - begun, 1e-6))
    count = min(IMAGES, max(1, batches) * TOP)
    rest = generator.sample(count - TOP, seed=SEED, start=TOP)
    return TuningReference(candidate, latents(SEED, 0, count, generator.latent_dim), np.concatenate([first, rest]))


def _try_out(
    field: FieldOfTrials, found: Sequence[Family], steps: TuningSteps, has_time: Callable[[], bool]
) -> list[Candidate]:
    """Try every family's first plan, then the others where that is still in the running; return what was left out."""
    tried: list[tuple[Family, PlanTrial]] = []
    skipped: list[Candidate] = []
    for family in found:
        steps.begin(str(family.first))
        if not has_time() and field.open:
            skipped.append(family.first)
            continue
        trial = field.try_out(family.first)
        if trial is not None:
            tried.append((family, trial))
    fastest_first = sorted(tried, key=lambda one: one[1].seconds[TOP])
    others = [candidate for family, trial in fastest_first if trial in field.open for candidate in family.others]
    steps.add(len(others))
    for candidate in others:
        steps.begin(str(candidate))
        if has_time():
            field.try_out(candidate)
        else:
            skipped.append(candidate)
    return skipped


def _saved(record: TuningRecord, bundle: Bundle) -> tuple[Path | None, str]:
    try:
        return save(record, bundle), ""
    except OSError as error:
        return None, f"the record could not be written, so nothing is remembered: {error}"
