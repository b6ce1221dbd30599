"""One run of the benchmark from end to end: what is given, ceilings, everyone at every batch size, targets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganport_runtime import Bundle
from ganport_runtime.tuning import Budget

from ganport_bench.ceilings import Peak, higher, measure_peaks, multiply_adds
from ganport_bench.command import OnStep
from ganport_bench.errors import BenchError
from ganport_bench.overhead import machine
from ganport_bench.own_cache import own_cache
from ganport_bench.peers import Contender, Source, peers_of
from ganport_bench.speed.comparison import compare_at
from ganport_bench.speed.document import Results
from ganport_bench.speed.effort import BATCHES, Effort
from ganport_bench.speed.judge import Judge
from ganport_bench.speed.model import make_bundle, make_run
from ganport_bench.speed.plans import AsOpened, plans_of
from ganport_bench.speed.selection import WANTED_DB
from ganport_bench.speed.targets import targets_of
from ganport_bench.tuning import tune

__all__ = ["Subject", "measure", "subject_of"]

SEED = 2001  # of the latents that everyone is compared and timed on


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Args:
        run: the run directory that peers load.
        bundle: what was exported from it, or None to measure the peers alone.
        is_trained: whether its images mean anything.
    """

    run: Path
    bundle: Path | None
    is_trained: bool

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {"run": str(self.run), "bundle": str(self.bundle or ""), "is_trained": self.is_trained}


def subject_of(run: Path | None, bundle: Path | None, *, plans: bool, folder: Path, on_step: OnStep) -> Subject:
    """What was given, and the rest made in `folder`.

    Raises:
        BenchError: a bundle without the run that it was exported from.
    """
    if run is None and bundle is not None:
        raise BenchError(f"{bundle} was given without the run that it was exported from, which the peers are made of")
    source = make_run(folder, on_step) if run is None else run
    if plans and bundle is None:
        bundle = make_bundle(source, folder, on_step)
    return Subject(source, bundle if plans else None, is_trained=run is not None)


def measure(
    subject: Subject, effort: Effort, folder: Path, on_step: OnStep, batches: Sequence[int] = BATCHES
) -> Results:
    """Measure the machine, then everyone, then the machine again, for its peak is the higher of two.

    Args:
        subject: what.
        effort: how long.
        folder: for what the tuning remembers, so that the user's own records stay as they are.
        on_step: called with a few words before each step.
        batches: images a call.
    """
    facts = machine.facts()  # first, or the load would be the benchmark's own
    source = Source.of_run(subject.run)
    judge = Judge(*source.reference(SEED, max(effort.images, *batches)))
    operations = multiply_adds(source.stock_export)
    peaks = _peaks(effort, on_step)
    with own_cache(folder / "cache"):
        contenders = (*peers_of(source), *_plans(subject, effort, on_step))
        comparisons = [compare_at(contenders, batch, judge, effort, on_step) for batch in batches]
    peaks = higher(peaks, _peaks(effort, on_step))
    targets = targets_of(comparisons, peaks, operations) if subject.bundle else []
    return Results(facts, subject.to_json(), operations, peaks, comparisons, targets)


def _peaks(effort: Effort, on_step: OnStep) -> dict[str, Peak]:
    on_step("the machine's matrix-product peaks")
    return measure_peaks(rounds=effort.screening_rounds, turn_seconds=effort.screening_seconds)


def _plans(subject: Subject, effort: Effort, on_step: OnStep) -> tuple[Contender, ...]:
    if subject.bundle is None:
        return ()
    budget = Budget(min_psnr_db=WANTED_DB if subject.is_trained else 0.0)

    def show(done: int, total: int, text: str) -> None:
        on_step(f"tuning, {done} of {total}: {text}")

    tuning = tune(subject.bundle, budget=budget, seconds=effort.tuning_seconds, on_progress=show)
    opened = AsOpened(subject.bundle), AsOpened(subject.bundle, "fp32")
    return (*plans_of(Bundle.open(subject.bundle), tuning.record), *opened)
