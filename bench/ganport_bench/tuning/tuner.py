"""Tunes a bundle: tries every plan once, measures the fastest in turns at each bucket, and remembers what it found."""

import datetime as dt
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from os import PathLike
from pathlib import Path

import numpy as np
from ganport_runtime import Bundle, BundleError, Generator, PlanError, fingerprint, latents
from ganport_runtime.buckets import BUCKETS, TOP
from ganport_runtime.opening import open_candidate
from ganport_runtime.plan import Candidate, Refusal, Request, by_reason
from ganport_runtime.survey import survey
from ganport_runtime.tuning import Budget, TuningRecord, save

from ganport_bench.errors import BenchError
from ganport_bench.tuning.candidates import Family, families
from ganport_bench.tuning.field_of_trials import FieldOfTrials
from ganport_bench.tuning.result import RefusedPlan, Tuning, title
from ganport_bench.tuning.steps import Progress, Steps
from ganport_bench.tuning.trial import Reference, Trial
from ganport_bench.tuning.turns import measure_in_turns

__all__ = ["IMAGES", "SECONDS", "SEED", "tune"]

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
        PlanError: no fp32 plan runs here, with which the others could be compared.
        BenchError: no plan is within the budget, or `seconds` is no positive number.
    """
    if not seconds > 0:  # NaN neither
        raise BenchError(f"seconds is {seconds}, wanted a number above 0")
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
        raise BenchError(_nothing_left(bundle, budget, field.refused))
    return TuningRecord(
        digest=bundle.digest,
        bundle=str(bundle.path.resolve()),
        role="generator",
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        budget=budget,
        machine=fingerprint.machine(),
        engines=fingerprint.engines(),
        plans=field.plans,
    )


def _untuned(bundle: Bundle) -> Candidate | None:
    """What runs without tuning."""
    available, _ = survey(bundle, "generator", Request())
    return available[0] if available else None


def _reference(bundle: Bundle, clock: Callable[[], float]) -> Reference:
    """The images of the fp32 plan that runs without tuning, on the CPU where it can.

    Raises:
        PlanError: no fp32 plan runs here; the text says why.
    """
    available, refusals = survey(bundle, "generator", Request(precision="fp32"))
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
