"""Images out of a generator."""

import torch
from torch import Tensor

from ganport_train.networks import Generator

BATCH = 64


@torch.inference_mode()
def generate(generator: Generator, latents: Tensor) -> Tensor:
    """uint8 images [n, channels, height, width] of latents [n, latent_dim], in batches; `generator` in eval mode."""
    return torch.cat([to_uint8(generator(batch)) for batch in torch.split(latents, BATCH)])


def to_uint8(images: Tensor) -> Tensor:
    """Pixels of [-1, 1] as uint8: round((x + 1) * 127.5), half to even."""
    return ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
