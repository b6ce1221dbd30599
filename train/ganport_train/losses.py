"""The losses of a GAN as pure functions of logits, larger = more real, and the gradient penalties R1 and R2."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus


@dataclass(frozen=True)
class Loss:
    """What each network minimizes: functions of logits of real and of generated images, both [n], to a scalar."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    pairs: bool  # whether the generator's loss looks at real images


def relativistic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-log sigmoid(D(x) - D(G(z))), mean over pairs (Jolicoeur-Martineau 2019; Huang et al. 2024, R3GAN)."""
    return softplus(fake - real).mean()


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-log sigmoid(D(G(z)) - D(x)), mean over pairs (Huang et al. 2024, R3GAN)."""
    return softplus(real - fake).mean()


def classic_discriminator(real: Tensor, fake: Tensor) -> Tensor:
    """-log sigmoid(D(x)) - log(1 - sigmoid(D(G(z)))), mean of each: binary cross-entropy (Goodfellow et al. 2014)."""
    return softplus(-real).mean() + softplus(fake).mean()


def non_saturating_generator(real: Tensor, fake: Tensor) -> Tensor:  # noqa: ARG001 - one signature for all
    """-log sigmoid(D(G(z))), mean: binary cross-entropy with the label "real" (Goodfellow et al. 2014 sec. 3)."""
    return softplus(-fake).mean()


def minimax_generator(real: Tensor, fake: Tensor) -> Tensor:  # noqa: ARG001 - one signature for all
    """log(1 - sigmoid(D(G(z)))), mean: the original game, which saturates (Goodfellow et al. 2014 eq. 1)."""
    return -softplus(fake).mean()


LOSSES = {
    "relativistic": Loss(relativistic_discriminator, relativistic_generator, pairs=True),
    "non_saturating": Loss(classic_discriminator, non_saturating_generator, pairs=False),
    "minimax": Loss(classic_discriminator, minimax_generator, pairs=False),
}


def gradient_penalty(logits: Tensor, images: Tensor, gamma: float) -> Tensor:
    """R1 + R2, times gamma / 2 (Mescheder et al. 2018): squared gradient norms at real and at generated images.

    One gradient call serves both kinds, which is valid only where each logit depends on its own image alone: no batch
    norm in the discriminator. `logits` [2n] were computed from `images` [2n, channels, height, width], real then
    generated; the scalar can be differentiated.
    """
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.square().sum() * (gamma / len(images))
