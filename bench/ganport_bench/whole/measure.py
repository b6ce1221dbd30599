"""Runs the parts one after the other around one bundle that was tuned here first."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ganport_runtime import PlanError
from ganport_runtime.text import one_line
from ganport_runtime.tuning import TuningRecord

from ganport_bench.effort import OnStep
from ganport_bench.errors import BenchError
from ganport_bench.figures import WANTED_DB
from ganport_bench.machine import Watch
from ganport_bench.records import own_cache, tuned, user_record
from ganport_bench.subject import BenchSubject, subject_of
from ganport_bench.whole.asked import Asked
from ganport_bench.whole.document import Found, Whole

__all__ = ["measure_whole"]

LOG = logging.getLogger(__name__)


@dataclass
class _Stage:
    """What parts are given, and what they have found."""

    asked: Asked
    subject: BenchSubject
    record: TuningRecord
    on_step: OnStep
    found: Found = field(default_factory=Found)


def measure_whole(asked: Asked, folder: Path, on_step: OnStep) -> Whole:
    """Measure every part that is asked for, around the bundle as `ganport tune --min-psnr 38` leaves or left it.

    Args:
        asked: what.
        folder: empty; for a bundle that is made and for what tuning remembers, so that the user's records stay.
        on_step: called with a few words before each step.

    Raises:
        BenchError: nothing could be measured; the text says why of each part.
        BundleError, PlanError: the bundle is damaged, or nothing runs it here.
    """
    watch = Watch()  # first, or the load would be the benchmark's own
    skipped, took = asked.lacking(), dict[str, float]()
    subject = subject_of(asked.target, asked.bundle, folder, on_step)
    least_db = WANTED_DB if subject.is_trained else 0.0
    mine = user_record(subject.opened, least_db)
    with own_cache(folder / "cache"):
        with _timed("tuning", took):
            record, how = tuned(subject.opened, mine, asked.effort.tuning_seconds, on_step, least_db=least_db)
        stage = _Stage(asked, subject, record, on_step)
        for part in (part for part in asked.in_order if part not in skipped):
            with _timed(part, took):
                _run(part, stage, skipped)
    if stage.found == Found():
        raise BenchError("; ".join(f"{part}: {why}" for part, why in skipped.items()))
    return Whole(watch.finished(), _model(stage, how), asked.effort, stage.found, skipped, took)


def _run(part: str, stage: _Stage, skipped: dict[str, str]) -> None:
    """Run a part; whatever keeps it from its end, the others go on, and what they found is not lost."""
    try:
        setattr(stage.found, part, _PARTS[part](stage))
    except (BenchError, PlanError) as error:
        skipped[part] = str(error)
    except Exception as error:
        LOG.exception("the part %s broke down", part)
        skipped[part] = f"it broke down: {type(error).__name__}: {one_line(str(error))}"


def _model(stage: _Stage, tuned_how: str) -> dict[str, object]:
    speed = stage.found.speed
    return {
        **stage.subject.to_json(),
        "reference": None if speed is None else speed.standard,
        "tuned": tuned_how,
    }


@contextmanager
def _timed(name: str, took: dict[str, float]) -> Iterator[None]:
    begun = time.monotonic()
    try:
        yield
    finally:
        took[name] = time.monotonic() - begun


def _speed(stage: _Stage) -> object:
    from ganport_bench import speed

    return speed.measure(stage.subject, stage.record, stage.asked.effort, stage.on_step, stage.asked.batches)


def _nodes(stage: _Stage) -> object:
    from ganport_bench import nodes

    if stage.found.speed is None:
        raise BenchError("the nodes of the fastest plans are looked at, and which these are is found by the part speed")
    stage.on_step("the nodes of the fastest plans")
    return nodes.measure(stage.subject.bundle, stage.found.speed)


def _start(stage: _Stage) -> object:
    from ganport_bench import start

    return start.measure(stage.subject.bundle, stage.asked.effort, stage.on_step)


def _scenarios(stage: _Stage) -> object:
    from ganport_bench import scenarios

    return scenarios.measure(stage.subject.bundle, stage.asked.effort, stage.asked.logs, stage.on_step)


def _load(stage: _Stage) -> object:
    from ganport_bench import load

    return load.measure(load.ServedBundle(stage.subject.bundle), stage.asked.effort, stage.on_step)


_PARTS: Mapping[str, Callable[[_Stage], object]] = {
    "speed": _speed,
    "nodes": _nodes,
    "start": _start,
    "scenarios": _scenarios,
    "load": _load,
}
