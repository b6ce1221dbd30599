"""The arithmetic of one training step, and all that it changes."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ganport_train import ema
from ganport_train.config import TrainingConfig
from ganport_train.losses import LOSSES, gradient_penalty
from ganport_train.networks import DcganDiscriminator, DcganGenerator, initialize
from ganport_train.randomness import batch_indices, draw_latents, random_source

FIGURES = ("loss_discriminator", "loss_generator", "penalty", "logit_real", "logit_fake")


@dataclass
class TrainingState:
    """All that training changes; nothing else needs saving, since random numbers follow from (seed, step)."""

    generator: DcganGenerator
    discriminator: DcganDiscriminator
    averaged: DcganGenerator  # the moving average of the generator's weights
    generator_optimizer: torch.optim.Optimizer
    discriminator_optimizer: torch.optim.Optimizer
    step: int = 0


def build_networks(config: TrainingConfig) -> tuple[DcganGenerator, DcganDiscriminator]:
    """The networks that `config` describes, untrained, weights drawn from its seed."""
    if config.channels is None:
        raise ValueError("channels are known only once the images are: use a configuration that says them")
    shape = {"resolution": config.resolution, "channels": config.channels, "width": config.width}
    with torch.random.fork_rng(devices=[]):  # PyTorch draws weights on construction, which `initialize` replaces
        generator = DcganGenerator(
            **shape, kernel=config.kernel, latent_dim=config.latent_dim, activation=config.activation
        )
        discriminator = DcganDiscriminator(**shape, kernel=config.kernel, batch_norm=config.discriminator_batch_norm)
    initialize(generator, config.initialization, random_source(config.seed, "generator"))
    initialize(discriminator, config.initialization, random_source(config.seed, "discriminator"))
    return generator, discriminator


def initial_state(config: TrainingConfig) -> TrainingState:
    """Untrained networks and their optimizers, channels last in memory: 3 % faster on two CPU cores."""
    generator, discriminator = build_networks(config)
    for parameter in (*generator.parameters(), *discriminator.parameters()):
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    averaged = copy.deepcopy(generator).requires_grad_(False)
    return TrainingState(generator, discriminator, averaged, _adam(generator, config), _adam(discriminator, config))


def _adam(network: nn.Module, config: TrainingConfig) -> torch.optim.Adam:
    return torch.optim.Adam(
        network.parameters(), config.learning_rate, betas=(float(config.beta1), float(config.beta2)), fused=True
    )


def training_batch(pixels: Tensor, config: TrainingConfig, step: int) -> tuple[Tensor, Tensor]:
    """Real images in [-1, 1] of uint8 `pixels` [n, channels, height, width], and latents; `step` counts from 1."""
    indices = batch_indices(config.seed, step, config.batch_size, len(pixels))
    real = pixels[indices].float().div_(127.5).sub_(1)
    return real, draw_latents(config.seed, "training", step, config.batch_size, config.latent_dim)


def training_step(state: TrainingState, real: Tensor, latents: Tensor, config: TrainingConfig) -> Tensor:
    """One step of the discriminator, then of the generator on the same latents, then of the average.

    Changes `state`. `real` is float [batch, channels, height, width] in [-1, 1], `latents` [batch, latent_dim]. Returns
    what `FIGURES` names, float [5], not yet looked at, so that a step never waits for them.
    """
    fake = state.generator(latents)
    figures = _discriminator_step(state, real, fake.detach(), config)
    loss_generator = _generator_step(state, real, fake, config)
    state.step += 1
    ema.update(state.averaged, state.generator, config.ema_decay, state.step)
    loss_discriminator, penalty, logit_real, logit_fake = figures
    return torch.stack([loss_discriminator, loss_generator, penalty, logit_real, logit_fake])


def _logits(state: TrainingState, images: Tensor) -> Tensor:
    """Logits [n] of real or generated images. A differentiable augmentation of both belongs here.

    Its random numbers are `random_source(config.seed, "augmentation", state.step)`, so that resuming stays exact.
    """
    logits: Tensor = state.discriminator(images)
    return logits


def _discriminator_step(
    state: TrainingState, real: Tensor, fake: Tensor, config: TrainingConfig
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    penalty = torch.zeros(())
    if state.discriminator.batch_norm:  # each kind has statistics of its own: two passes
        logits_real, logits_fake = _logits(state, real), _logits(state, fake)
    else:
        images = torch.cat([real, fake]).requires_grad_(config.penalty > 0)
        logits = _logits(state, images)
        logits_real, logits_fake = logits.chunk(2)
        if config.penalty > 0:
            penalty = gradient_penalty(logits, images, config.penalty)
    loss = LOSSES[config.loss].discriminator(logits_real, logits_fake)
    state.discriminator_optimizer.zero_grad()
    torch.autograd.backward(loss + penalty)
    state.discriminator_optimizer.step()
    return loss.detach(), penalty.detach(), logits_real.detach().mean(), logits_fake.detach().mean()


def _generator_step(state: TrainingState, real: Tensor, fake: Tensor, config: TrainingConfig) -> Tensor:
    loss_of = LOSSES[config.loss]
    state.discriminator.requires_grad_(False)  # gradients pass through it, none is kept for it
    logits_fake = _logits(state, fake)
    logits_real = logits_fake
    if loss_of.pairs:
        with torch.no_grad():
            logits_real = _logits(state, real)
    loss = loss_of.generator(logits_real, logits_fake)
    state.generator_optimizer.zero_grad()
    torch.autograd.backward(loss)
    state.generator_optimizer.step()
    state.discriminator.requires_grad_(True)
    return loss.detach()
