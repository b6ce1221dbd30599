"""Everyone's speed from end to end: ceilings, the contenders at every batch size, ceilings again, targets."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ganport_runtime.tuning import TuningRecord

from ganport_bench.ceilings import demand_of
from ganport_bench.command import OnStep
from ganport_bench.null_backend import measure_overhead
from ganport_bench.peers import peers_of
from ganport_bench.speed.ceilings import ceilings_of, higher_limits, measure_limits
from ganport_bench.speed.comparison import compare_at
from ganport_bench.speed.document import Results
from ganport_bench.speed.effort import BATCHES, Effort
from ganport_bench.speed.judge import Judge
from ganport_bench.speed.plans import AsOpened, plans_of
from ganport_bench.speed.subject import Subject
from ganport_bench.speed.targets import targets_of

__all__ = ["measure_speed"]

SEED = 2001  # of the latents that everyone is compared and timed on


def measure_speed(
    subject: Subject, record: TuningRecord, effort: Effort, on_step: OnStep, batches: Sequence[int] = BATCHES
) -> Results:
    """Measure the machine, then everyone, then the machine again, for its limits are the higher of two.

    Args:
        subject: what.
        record: what tuning found here; `Generator.open` finds it too.
        effort: how long.
        on_step: called with a few words before each step.
        batches: images a call.
    """
    source = subject.source
    on_step("the images that everyone is compared with")
    judge = Judge(*source.reference(SEED, max(effort.images, *batches)))
    with _modules_are_no_garbage():
        return _measure(subject, judge, record, effort, on_step, batches)


def _measure(
    subject: Subject, judge: Judge, record: TuningRecord, effort: Effort, on_step: OnStep, batches: Sequence[int]
) -> Results:
    source, image = subject.source, subject.opened.manifest.generator.image
    demand_of(source.stock_export)  # what cannot be counted is found out now, not after everyone was measured
    limits = measure_limits(effort, on_step)
    on_step("ganport's own code around an engine that does nothing")
    overhead = measure_overhead(image.shape, source.latent_dim, batches)
    opened = AsOpened(subject.bundle), AsOpened(subject.bundle, "fp32")
    contenders = (*peers_of(source), *plans_of(subject.opened, record), *opened)
    comparisons = [compare_at(contenders, batch, judge, effort, on_step) for batch in batches]
    limits = higher_limits(limits, measure_limits(effort, on_step))
    ceilings = ceilings_of(source.stock_export, limits, batches)
    targets = targets_of(comparisons, ceilings)
    return Results(source.standard, source.stock_note, ceilings, comparisons, overhead, targets)


@contextmanager
def _modules_are_no_garbage() -> Iterator[None]:
    """Leave what was imported until now out of each search for garbage before a round: with PyTorch it takes 0.2 s."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
