"""What `ganport_train` takes over a bare PyTorch loop, in blocks of steps that take turns."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ganport_train.config import TrainingConfig, preset
from ganport_train.data import ImageSet
from ganport_train.observer import Observer
from ganport_train.trainer import train

from ganport_bench.overhead.bare_loop import BareLoop
from ganport_bench.overhead.figure import Figure
from ganport_bench.timing import Seconds, median, ratio

TARGET_PERCENT = 5.0
STEPS_A_BLOCK = 8
SETTINGS = {"data": "digits", "resolution": 32, "width": 32}
NOTE = "samples and checkpoints, written every few hundred steps, are not in it"


class Turns(Observer):
    """Lets the trainer do a block of steps, then another loop as many, and times both sides' blocks.

    The trainer asks after every step whether to stop; at the end of a block the answer waits until the other loop has
    had its turn. The first block of each side does not count.

    Args:
        bare: Makes the other loop's step once the effective settings and images are known.
        rounds: Blocks of each side that count.
        steps: Steps a block.
        clock: Seconds.
    """

    def __init__(
        self,
        bare: Callable[[TrainingConfig, ImageSet], Callable[[], None]],
        *,
        rounds: int,
        steps: int = STEPS_A_BLOCK,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._make_bare, self._rounds, self._steps, self._clock = bare, rounds, steps, clock
        self._done = 0
        self._trainer: list[float] = []
        self._bare: list[float] = []

    def started(self, config: TrainingConfig, images: ImageSet, step: int) -> None:  # noqa: ARG002
        """Make the other loop, then start the clock for the trainer's first block."""
        self._bare_step = self._make_bare(config, images)
        self._begun = self._clock()

    def should_stop(self) -> bool:
        """Whether every block is done; at the end of one, first the other loop's."""
        self._done += 1
        if self._done % self._steps:
            return False
        turn = self._clock()
        for _ in range(self._steps):
            self._bare_step()
        end = self._clock()
        self._trainer.append((turn - self._begun) / self._steps)
        self._bare.append((end - turn) / self._steps)
        self._begun = self._clock()
        return len(self._bare) > self._rounds

    @property
    def seconds(self) -> dict[str, Seconds]:
        """Seconds a step of both sides, float64 [rounds]."""
        return {"ganport": np.array(self._trainer[1:]), "bare": np.array(self._bare[1:])}


def measure(folder: Path, rounds: int, **settings: Any) -> Figure:
    """The figure `train`: per cent over the bare loop, on digits at 32x32; the run is left in `folder`.

    The smaller the networks, the more a loop's own cost weighs: this is a harder case than the default 64x64.

    Args:
        folder: Where the run goes.
        rounds: Blocks of each side that count.
        settings: Of the training, over those of `SETTINGS`.
    """
    never = 10**9
    steps = (rounds + 1) * STEPS_A_BLOCK
    config = preset("rpgan", steps=steps, checkpoint_every=never, sample_every=never, **{**SETTINGS, **settings})
    turns = Turns(lambda effective, images: BareLoop(effective, images).step, rounds=rounds)
    train(config, folder / "run-of-turns", observer=turns)
    seconds = turns.seconds
    return Figure(
        name="train",
        title=f"training, over a bare PyTorch loop ({config.resolution}x{config.resolution}, width {config.width})",
        unit="%",
        estimate=ratio(seconds["ganport"], seconds["bare"]).scaled(100, -100),
        target=TARGET_PERCENT,
        details={f"{name}_ms_a_step": round(median(taken).value * 1e3, 2) for name, taken in seconds.items()},
        note=NOTE,
    )
