"""The training loop that one would write by hand, and an observer that lets it take turns with the trainer."""

import time
from collections.abc import Callable

import numpy as np
import torch
from ganport_bench.timing import Seconds
from ganport_train.config import TrainingConfig
from ganport_train.data import ImageSet
from ganport_train.losses import LOSSES, gradient_penalty
from ganport_train.observer import Observer
from ganport_train.step import initial_state

BLOCK_STEPS = 8


class BareLoop:
    """Trains the same networks with the same losses, optimizers and average as `ganport_train`.

    It has no log, no check for NaN and no reproducible order of images: it shows what those cost. The discriminator
    must have no batch norm, because real and generated images are scored in one pass.
    """

    def __init__(self, config: TrainingConfig, images: ImageSet) -> None:
        if config.discriminator_batch_norm:
            raise ValueError("the bare loop scores real and generated images in one pass: no batch norm in D")
        self._config, self._loss = config, LOSSES[config.loss]
        state = initial_state(config)
        self._generator, self._discriminator, self._averaged = state.generator, state.discriminator, state.averaged
        self._generator_optimizer = state.generator_optimizer
        self._discriminator_optimizer = state.discriminator_optimizer
        pixels = torch.from_numpy(images.images).permute(0, 3, 1, 2)
        self._images = pixels.float().div_(127.5).sub_(1)

    def step(self) -> None:
        """One step of the discriminator, one of the generator, one of the average."""
        batch = self._config.batch_size
        real = self._images[torch.randint(len(self._images), (batch,))]
        fake = self._generator(torch.randn(batch, self._config.latent_dim))
        self._discriminator_step(real, fake.detach())
        self._generator_step(real, fake)
        with torch.no_grad():
            for averaged, live in zip(self._averaged.parameters(), self._generator.parameters(), strict=True):
                averaged.lerp_(live, 1 - self._config.ema_decay)

    def _discriminator_step(self, real: torch.Tensor, fake: torch.Tensor) -> None:
        images = torch.cat([real, fake]).requires_grad_(self._config.penalty > 0)
        logits = self._discriminator(images)
        loss = self._loss.discriminator(*logits.chunk(2))
        if self._config.penalty > 0:
            loss = loss + gradient_penalty(logits, images, self._config.penalty)
        self._discriminator_optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._discriminator_optimizer.step()

    def _generator_step(self, real: torch.Tensor, fake: torch.Tensor) -> None:
        self._discriminator.requires_grad_(False)
        logits_fake = logits_real = self._discriminator(fake)
        if self._loss.pairs:
            with torch.no_grad():
                logits_real = self._discriminator(real)
        loss = self._loss.generator(logits_real, logits_fake)
        self._generator_optimizer.zero_grad()
        torch.autograd.backward(loss)
        self._generator_optimizer.step()
        self._discriminator.requires_grad_(True)


class TrainingTurns(Observer):
    """Gives another loop its turn after each block of the trainer's steps, and times both.

    The trainer asks after every step whether to stop; at the end of a block the answer waits until the other loop has
    done as many steps. The first block of each side does not count.
    """

    def __init__(
        self,
        make_bare: Callable[[TrainingConfig, ImageSet], Callable[[], None]],
        *,
        rounds: int,  # blocks of each side that count
        steps: int = BLOCK_STEPS,  # in a block
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._make_bare, self._rounds, self._steps, self._clock = make_bare, rounds, steps, clock
        self._done = 0
        self._trainer: list[float] = []
        self._bare: list[float] = []

    def started(self, config: TrainingConfig, images: ImageSet, step: int) -> None:  # noqa: ARG002
        """Make the other loop and start the clock."""
        self._bare_step = self._make_bare(config, images)
        self._begun = self._clock()

    def should_stop(self) -> bool:
        """Whether every block is done; at the end of one, the other loop's turn comes first."""
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
        """Seconds of a step by side, float64 [rounds]."""
        return {"ganport": np.array(self._trainer[1:]), "bare": np.array(self._bare[1:])}
