"""The tuning record that a benchmark's parts open a bundle with: the user's where it holds here, else one made now.

Either lies in a cache folder of the benchmark's own, so that the user's records stay as they are.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganport_runtime import Bundle
from ganport_runtime.backends import engine_versions
from ganport_runtime.machine import facts
from ganport_runtime.tuning.record import Budget, TuningRecord, find_record, save
from ganport_runtime.tuning.tuner import tune

from ganport_bench.effort import OnStep

CACHE = "GANPORT_CACHE"  # where the runtime looks for tuning records; child processes inherit it


@contextmanager
def own_cache(folder: Path) -> Iterator[None]:
    """Look for tuning records in a folder, and keep them there, within the block."""
    before = os.environ.get(CACHE)
    os.environ[CACHE] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CACHE]
        else:
            os.environ[CACHE] = before


def user_record(bundle: Bundle, least_db: float = 0.0) -> TuningRecord | None:
    """The user's record of the bundle, if it was made on this machine with these engines, for at least that PSNR."""
    found = find_record(bundle, "generator", facts)
    return found if isinstance(found, TuningRecord) and holds(found) and found.budget.min_psnr_db >= least_db else None


def holds(record: TuningRecord) -> bool:
    """Whether machine and engines are as they were."""
    return record.machine == facts() and record.engines == engine_versions()


def tuned(
    bundle: Bundle,
    mine: TuningRecord | None,
    seconds: float,
    on_step: OnStep = lambda _: None,
    *,
    least_db: float | None = None,
) -> tuple[TuningRecord, str]:
    """Leave a record in the cache folder in use.

    Raises BenchError: no plan is within the budget; PlanError: nothing here runs the bundle in fp32; OSError: the
    folder cannot be written.
    """
    if mine is not None:
        save(mine, bundle)
        return mine, f"by the user's record of {mine.created}, within {mine.budget}"

    def show(done: int, total: int, text: str) -> None:
        on_step(f"tuning, {done} of {total}: {text}")

    budget = Budget() if least_db is None else Budget(min_psnr_db=least_db)
    record = tune(bundle.path, budget=budget, seconds=seconds, on_progress=show).record
    return record, f"now, in {seconds:.0f} s, within {budget}"
