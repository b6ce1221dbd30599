"""Tunes a bundle: tries every plan once, measures the fastest in turns at each bucket, and remembers what it found."""

import datetime as dt
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
from ganport_runtime.batches import BUCKETS, TOP
from ganport_runtime.opening import open_candidate
from ganport_runtime.plan import Candidate, Refusal, Request, by_reason, list_plans
from ganport_runtime.tuning.record import Budget, MeasuredPlan, TuningRecord, save, winners
from ganport_runtime.tuning.timing import interleave, turns_of
from ganport_runtime.tuning.trials import Family, FieldOfTrials, Reference, RefusedPlan, Trial, families

Progress = Callable[[int, int, str], None]
"""Told how many steps are done, of how many, and what comes next."""


class Steps:
    """The steps of one tuning.

    Args:
        on_progress: told of every step as it begins.
        total: how many there are, as far as is known.
    """

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
    """The outcome of one tuning.

    Attributes:
        record: what is remembered: every plan measured that is within the budget.
        file: the record's file, or None where it could not be written.
        note: why not, or empty.
        reference: the plan whose images the others were compared with.
        untuned: the plan that runs without tuning.
        refused: every other plan, with its reason.
        cut: what was left out for lack of time, or empty.
        seconds: how long it took.
    """

    record: TuningRecord
    file: Path | None
    note: str
    reference: str
    untuned: MeasuredPlan | None
    refused: tuple[RefusedPlan, ...]
    cut: str
    seconds: float

    @property
    def best(self) -> dict[int, MeasuredPlan]:
        """The best plan for each bucket."""
        return {bucket: plans[0] for bucket, plans in winners(self.record.plans).items()}

    def to_json(self) -> dict[str, Any]:
        """The document of `ganport tune --json`."""
        record = self.record
        return {
            "bundle": record.bundle,
            "digest": record.digest,
            "host": {**record.machine, "engines": dict(record.engines)},
            "budget": asdict(record.budget),
            "reference": self.reference,
            "buckets": {str(bucket): self._choice(bucket, plan) for bucket, plan in self.best.items()},
            "plans": [{"plan": title(plan), **plan.to_json()} for plan in record.plans],
            "refused": [{"plan": refusal.plan, "reason": refusal.reason} for refusal in self.refused],
            "record": None if self.file is None else str(self.file),
            "note": "; ".join(text for text in (self.note, self.cut) if text),
            "seconds": round(self.seconds, 1),
        }

    def speedup(self, bucket: int) -> float | None:
        """How many times as fast as the untuned plan the best one is, or None where that was not measured."""
        if self.untuned is None or bucket not in self.untuned.images_per_second:
            return None
        return self.best[bucket].images_per_second[bucket] / self.untuned.images_per_second[bucket]

    def _choice(self, bucket: int, plan: MeasuredPlan) -> dict[str, Any]:
        speedup, figures = self.speedup(bucket), plan.to_json()
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


TURN_SECONDS = 0.04  # a plan's turn lasts about this long: far above the clock's own cost
PAUSE_SECONDS = 0.003  # between turns: threads of the plan before go on spinning for a millisecond
ROUNDS = 9


def measure_in_turns(field: FieldOfTrials, steps: Steps, seconds_left: Callable[[], float]) -> None:
    """Replace the rough figures of the finalists by medians over rounds, as many as there is time for.

    Args:
        field: the plans still in the running; all others are closed.
        steps: one a bucket.
        seconds_left: how long it may still take.
    """
    finalists = {bucket: field.finalists(bucket) for bucket in BUCKETS}
    field.keep(trial for trials in finalists.values() for trial in trials)
    for place, (bucket, trials) in enumerate(finalists.items()):
        steps.begin(f"batch {bucket}: {len(trials)} plans in turns")
        if len(trials) < 2:
            continue  # nothing to tell apart
        round_seconds = sum(PAUSE_SECONDS + max(TURN_SECONDS, 2 * trial.seconds[bucket]) for trial in trials)
        affordable = seconds_left() / (len(BUCKETS) - place) / round_seconds
        rounds = int(min(ROUNDS, affordable - 1))  # of infinite time too
        if rounds < 1:
            continue  # the rough figures stand
        systems = {str(trial.candidate): turns_of(trial.call(bucket), TURN_SECONDS) for trial in trials}
        taken = interleave(systems, rounds=rounds, pause=PAUSE_SECONDS)
        for trial in trials:
            trial.seconds[bucket] = float(np.median(taken[str(trial.candidate)]))


IMAGES, SEED = 256, 2**63 + 3  # whose images are compared with the reference: a seed that nothing else uses
SECONDS = 100.0
TRYING = 0.65  # of the time goes to trying plans out, the rest to measuring the fastest in turns
REFERENCE_SECONDS = 2.0


def tune(
    path: str | PathLike[str],
    *,
    budget: Budget | None = None,
    seconds: float = SECONDS,
    on_progress: Progress = lambda *_: None,
    clock: Callable[[], float] = time.perf_counter,
) -> Tuning:
    """Measure every plan of a bundle's generator here, and remember the best of each bucket within a budget.

    Args:
        path: the bundle.
        budget: how far a plan's images may be from the fp32 reference; None: a mean PSNR of 35 dB.
        seconds: about how long it may take, above 0; what it leaves out for that is said.
        on_progress: told of every step.
        clock: seconds.

    Raises:
        BundleError: the bundle is missing, malformed or altered.
        PlanError: no fp32 plan runs here, with which the others could be compared, or no plan is within the budget.
        InputError: `seconds` is no positive number.
    """
    if not seconds > 0:  # NaN neither
        raise InputError(f"seconds is {seconds}, wanted a number above 0")
    begun = clock()
    bundle, limits = Bundle.open(path), budget or Budget()
    bundle.verify()
    reference, untuned = _reference(bundle, clock), _untuned(bundle)
    found, refused = families(bundle, "generator")
    found.sort(key=lambda family: family.first != untuned)
    steps = Steps(on_progress, len(found) + len(BUCKETS))
    with closing(FieldOfTrials(bundle, reference, limits, untuned)) as field:
        skipped = _try_out(field, found, steps, lambda: clock() - begun < TRYING * seconds)
        for candidate in skipped:
            field.refuse(candidate, f"not measured: {seconds:g} s are over")
        measure_in_turns(field, steps, lambda: begun + seconds - clock())
    record = _record(bundle, field, limits)
    file, note = _saved(record, bundle)
    return Tuning(
        record=record,
        file=file,
        note=note,
        reference=str(reference.plan),
        untuned=next((plan for plan in record.plans if title(plan) == str(untuned)), None),
        refused=(*refused, *field.refused),
        cut=_cut(len(skipped), seconds),
        seconds=clock() - begun,
    )


def _record(bundle: Bundle, field: FieldOfTrials, budget: Budget) -> TuningRecord:
    if not field.plans:
        raise PlanError(_nothing_left(bundle, budget, field.refused))
    return TuningRecord(
        digest=bundle.digest,
        bundle=str(bundle.path.resolve()),
        role="generator",
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        budget=budget,
        machine=machine.facts(),
        engines=engine_versions(),
        plans=field.plans,
    )


def _untuned(bundle: Bundle) -> Candidate | None:
    """What runs without tuning."""
    available, _ = list_plans(bundle, "generator", Request())
    return available[0] if available else None


def _reference(bundle: Bundle, clock: Callable[[], float]) -> Reference:
    """The images of the fp32 plan that runs without tuning, on the CPU where it can.

    Raises:
        PlanError: no fp32 plan runs here; the text says why.
    """
    available, refusals = list_plans(bundle, "generator", Request(precision="fp32"))
    for candidate in sorted(available, key=lambda candidate: candidate.device != "cpu"):
        try:
            running = open_candidate(bundle, "generator", candidate, Generator.signature)
        except (PlanError, BundleError) as error:
            refusals.append(Refusal(candidate, str(error)))
            continue
        with Generator(bundle, dict.fromkeys(BUCKETS, running)) as generator:
            return _images(candidate, generator, clock)
    raise PlanError(f"no fp32 plan of {bundle.path} runs here, to compare the others with: {by_reason(refusals)}")


def _images(candidate: Candidate, generator: Generator, clock: Callable[[], float]) -> Reference:
    """As many images as are made in a second or two, a multiple of the top bucket, `IMAGES` at most."""
    first = generator.sample(TOP, seed=SEED)
    begun = clock()
    generator.sample(TOP, seed=SEED)
    batches = int(REFERENCE_SECONDS / max(clock() - begun, 1e-6))
    count = min(IMAGES, max(1, batches) * TOP)
    rest = generator.sample(count - TOP, seed=SEED, start=TOP)
    return Reference(candidate, latents(SEED, 0, count, generator.latent_dim), np.concatenate([first, rest]))


def _try_out(
    field: FieldOfTrials, found: Sequence[Family], steps: Steps, has_time: Callable[[], bool]
) -> list[Candidate]:
    """Try every family's first plan, then the others where that is still in the running; return what was left out."""
    tried: list[tuple[Family, Trial]] = []
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


def _nothing_left(bundle: Bundle, budget: Budget, refused: Sequence[RefusedPlan]) -> str:
    reasons = "; ".join(f"{refusal.plan}: {refusal.reason}" for refusal in refused)
    return f"no plan of {bundle.path} runs here within {budget}: {reasons or 'none was tried'}"


def _saved(record: TuningRecord, bundle: Bundle) -> tuple[Path | None, str]:
    try:
        return save(record, bundle), ""
    except OSError as error:
        return None, f"the record could not be written, so nothing is remembered: {error}"


def _cut(skipped: int, seconds: float) -> str:
    return f"{skipped} plans were not measured, for {seconds:g} s are over; --seconds gives more" if skipped else ""
