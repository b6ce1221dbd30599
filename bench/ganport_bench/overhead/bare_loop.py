"""The training loop that one would write by hand: nothing but networks, data in memory, losses and the average."""

import torch
from ganport_train.config import TrainingConfig
from ganport_train.data import ImageSet
from ganport_train.losses import LOSSES, gradient_penalty
from ganport_train.step import initial_state


class BareLoop:
    """Trains the same networks with the same losses, optimizers and average as `ganport_train`, and does no more.

    No log, no check for NaN, no reproducible order of images: what those cost is what is measured against this. The
    settings must have a discriminator without batch norm.
    """

    def __init__(self, config: TrainingConfig, images: ImageSet) -> None:
        if config.discriminator_batch_norm:
            raise ValueError("the bare loop takes real and generated images in one pass: no batch norm in D")
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
            pairs = zip(self._averaged.parameters(), self._generator.parameters(), strict=True)
            for averaged, live in pairs:
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
