"""Runs the parts of `ganport bench` one after the other, around one bundle that was tuned here first."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ganport_runtime import PlanError
from ganport_runtime.errors import one_line
from ganport_runtime.tuning.record import TuningRecord

from ganport_bench.document import PARTS, compose
from ganport_bench.effort import BATCHES, Effort, OnStep
from ganport_bench.errors import BenchError
from ganport_bench.figures import WANTED_DB
from ganport_bench.machine import Watch
from ganport_bench.records import own_cache, tuned, user_record
from ganport_bench.subject import BenchSubject, subject_of

LOG = logging.getLogger(__name__)
NEEDS = {  # packages, beside what every part needs
    "start": ("packaging",),
    "scenarios": ("mlperf_loadgen",),
    "load": ("granian", "uvloop", "grpc", "psutil"),
}
LARGEST_BATCH = 4096


@dataclass(frozen=True)
class BenchOptions:
    """What to measure."""

    target: Path  # a bundle or a run directory
    effort: Effort  # how long
    logs: Path  # where LoadGen's logs go
    bundle: Path | None = None  # what was exported from the run, or None
    parts: Sequence[str] | None = None  # of `PARTS`, each once, in any order; None: all that can run here
    batches: Sequence[int] = BATCHES  # images a call

    def __post_init__(self) -> None:
        parts = list(self.parts or ())
        unknown = [part for part in parts if part not in PARTS]
        if unknown or self.parts == ():
            raise BenchError(f"parts {', '.join(unknown) or 'are none'}; wanted some of {', '.join(PARTS)}")
        if twice := sorted({part for part in parts if parts.count(part) > 1}):
            raise BenchError(f"parts {', '.join(twice)} twice; name each once")
        if "nodes" in parts and "speed" not in parts:
            raise BenchError("parts nodes without speed, which finds the fastest plans; name both")
        wrong = not self.batches or min(self.batches) < 1 or max(self.batches) > LARGEST_BATCH
        if wrong or len(set(self.batches)) < len(self.batches):
            raise BenchError(f"batches {list(self.batches)}; wanted different numbers from 1 to {LARGEST_BATCH}")

    @property
    def in_order(self) -> tuple[str, ...]:
        """The parts that are asked for, as they run: some use what others found."""
        return tuple(part for part in PARTS if part in (self.parts or PARTS))

    def lacking(self) -> dict[str, str]:
        """The parts that cannot run here, and why. Raises BenchError: one of them was asked for by name."""
        missing = {part: [name for name in NEEDS.get(part, ()) if find_spec(name) is None] for part in self.in_order}
        found = {
            part: f"{', '.join(names)} is not installed: pip install 'ganport[bench]'"
            for part, names in missing.items()
            if names
        }
        if found and self.parts is not None:
            raise BenchError("; ".join(f"{part}: {why}" for part, why in found.items()))
        return found


@dataclass(frozen=True)
class BenchRun:
    """What one run of the benchmark found."""

    document: dict[str, Any]  # all of it, for `--json`; everything that people read is made of it
    found: Mapping[str, Any]  # by part, as it measured it


@dataclass
class _Stage:
    options: BenchOptions
    subject: BenchSubject
    record: TuningRecord
    on_step: OnStep
    found: dict[str, Any] = field(default_factory=dict)


def run(options: BenchOptions, folder: Path, on_step: OnStep) -> BenchRun:
    """Measure every part that is asked for, around the bundle as `ganport tune --min-psnr 38` leaves or left it.

    Raises BenchError: nothing could be measured; the text says why of each part; BundleError, PlanError: the bundle is
    damaged, or nothing runs it here.
    """
    watch = Watch()  # first, or the load would be the benchmark's own
    skipped, took = options.lacking(), dict[str, float]()
    subject = subject_of(options.target, options.bundle, folder, on_step)
    least_db = WANTED_DB if subject.is_trained else 0.0
    mine = user_record(subject.opened, least_db)
    with own_cache(folder / "cache"):
        with _timed("tuning", took):
            record, how = tuned(subject.opened, mine, options.effort.tuning_seconds, on_step, least_db=least_db)
        stage = _Stage(options, subject, record, on_step)
        for part in (part for part in options.in_order if part not in skipped):
            with _timed(part, took):
                _run_part(part, stage, skipped)
    if not stage.found:
        raise BenchError("; ".join(f"{part}: {why}" for part, why in skipped.items()))
    reference = stage.found["speed"].standard if "speed" in stage.found else None
    document = compose(
        machine=watch.finished(),
        model={**subject.to_json(), "reference": reference, "tuned": how},
        effort=options.effort,
        found=stage.found,
        skipped=skipped,
        took_seconds=took,
    )
    return BenchRun(document, stage.found)


def _run_part(part: str, stage: _Stage, skipped: dict[str, str]) -> None:
    """Run a part; if it fails, the others still run, and what they found is kept."""
    try:
        stage.found[part] = _measure(part, stage)
    except (BenchError, PlanError) as error:
        skipped[part] = str(error)
    except Exception as error:
        LOG.exception("the part %s broke down", part)
        skipped[part] = f"it broke down: {type(error).__name__}: {one_line(str(error))}"


@contextmanager
def _timed(name: str, took: dict[str, float]) -> Iterator[None]:
    begun = time.monotonic()
    try:
        yield
    finally:
        took[name] = time.monotonic() - begun


def _measure(part: str, stage: _Stage) -> Any:
    """The measurement of a part, whose module may need packages that are not installed."""
    options, bundle, effort, on_step = stage.options, stage.subject.bundle, stage.options.effort, stage.on_step
    module = import_module(f"ganport_bench.{part}")
    if part == "speed":
        return module.measure(stage.subject, stage.record, effort, on_step, options.batches)
    if part == "nodes":
        if "speed" not in stage.found:
            raise BenchError("the part speed finds the fastest plans, whose nodes are looked at; it did not run")
        on_step("the nodes of the fastest plans")
        return module.measure(bundle, stage.found["speed"])
    if part == "scenarios":
        return module.measure(bundle, effort, options.logs, on_step)
    return module.measure(module.ServedBundle(bundle) if part == "load" else bundle, effort, on_step)
