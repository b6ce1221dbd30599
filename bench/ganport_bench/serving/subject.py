"""What is served: a bundle that is given or made, and the record of its fastest plan on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganport_runtime import Generator
from ganport_runtime.tuning import Budget

from ganport_bench.command import OnStep
from ganport_bench.own_cache import own_cache
from ganport_bench.speed import subject as speed
from ganport_bench.speed.model import make_bundle, make_run
from ganport_bench.speed.selection import WANTED_DB
from ganport_bench.tuning import tune

__all__ = ["Subject", "subject"]


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Attributes:
        bundle: whose generator is served.
        is_trained: whether its images mean anything.
        tuned: where the record of the fastest plan came from.
    """

    bundle: Path
    is_trained: bool
    tuned: str

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {"bundle": str(self.bundle), "is_trained": self.is_trained, "tuned": self.tuned}


@contextmanager
def subject(
    run: Path | None, bundle: Path | None, folder: Path, tuning_seconds: float, on_step: OnStep
) -> Iterator[Subject]:
    """What was given, and the rest made in `folder`.

    A bundle that its user has tuned here is served as tuned. Any other is tuned now, into a cache that lasts as long
    as the block, so that the user's own records stay as they are.

    Args:
        run: a training run, of which a bundle is exported where none is given.
        bundle: what is served.
        folder: for what is made.
        tuning_seconds: how long tuning may take.
        on_step: called with a few words before each step.
    """
    chosen = bundle or make_bundle(run or make_run(folder, on_step), folder, on_step)
    is_trained = speed.Subject(chosen).is_trained
    with Generator.open(chosen) as generator:
        is_tuned = generator.plan.tuned
    if is_tuned:
        yield Subject(chosen, is_trained, "by the user's record")
        return
    with own_cache(folder / "cache"):
        _tune(chosen, is_trained, tuning_seconds, on_step)
        yield Subject(chosen, is_trained, f"now, within {tuning_seconds:g} s")


def _tune(bundle: Path, is_trained: bool, seconds: float, on_step: OnStep) -> None:
    def show(done: int, total: int, text: str) -> None:
        on_step(f"tuning, {done} of {total}: {text}")

    tune(bundle, budget=Budget(min_psnr_db=WANTED_DB if is_trained else 0.0), seconds=seconds, on_progress=show)
