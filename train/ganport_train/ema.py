"""The averaged generator: an exponential moving average of the weights, with batch-norm statistics of its own."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ganport_train.networks import DcganGenerator


@torch.no_grad()
def update(averaged: DcganGenerator, live: DcganGenerator, decay: float, step: int) -> None:
    """Move every parameter of `averaged` towards `live`; batch-norm statistics are left alone.

    The decay grows as (1 + step) / (10 + step) up to `decay`, so that even a short run forgets the random start.
    """
    weight = 1.0 - min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(averaged.parameters()), list(live.parameters()), weight)


@torch.no_grad()
def calibrate(generator: DcganGenerator, batches: Iterable[Tensor]) -> DcganGenerator:
    """Recompute batch-norm statistics from scratch and return `generator` in eval mode.

    Statistics gathered while training belong to weights of many steps; these belong to the weights as they are: the
    plain mean over `batches` of latents (float [n, latent_dim] each). They depend on weights and latents alone.
    """
    norms = [module for module in generator.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative mean
    generator.train()
    for batch in batches:
        generator(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return generator.eval()
