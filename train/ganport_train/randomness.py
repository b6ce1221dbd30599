"""Everything random in a run as a pure function of (seed, purpose, index): no generator's state has to be saved."""

import hashlib
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

Purpose = Literal[
    "generator",
    "discriminator",
    "order",
    "training",
    "augmentation",
    "samples",
    "calibration",
    "evaluation",
    "embedding",
]


def random_source(seed: int, purpose: Purpose, index: int = 0) -> torch.Generator:
    """A source of random numbers of its own for each seed, purpose and index (a step, an epoch)."""
    digest = hashlib.sha256(f"{seed}/{purpose}/{index}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))


def draw_latents(seed: int, purpose: Purpose, index: int, count: int, latent_dim: int) -> Tensor:
    """Standard normal latents, float32 [count, latent_dim]."""
    return torch.randn(count, latent_dim, generator=random_source(seed, purpose, index))


def batch_indices(seed: int, step: int, batch_size: int, count: int) -> Tensor:
    """Which of `count` images make up the batch of `step` (from 1): int64 [batch_size].

    Each epoch is a fresh permutation; the images that fill no whole batch at its end wait for the next one.
    """
    epoch, position = divmod(step - 1, count // batch_size)
    return _epoch_order(seed, epoch, count)[position * batch_size : (position + 1) * batch_size]


@lru_cache(maxsize=2)
def _epoch_order(seed: int, epoch: int, count: int) -> Tensor:
    return torch.randperm(count, generator=random_source(seed, "order", epoch))
