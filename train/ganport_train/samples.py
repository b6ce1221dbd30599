"""Images out of a generator: uint8 arrays, and grids for people to look at."""

import math

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
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


def grid(images: Tensor) -> Image.Image:
    """uint8 images [n, channels, height, width] side by side, as near to a square as their count allows."""
    count, channels, height, width = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas: npt.NDArray[np.uint8] = np.full((rows * height, columns * width, channels), 255, np.uint8)
    for index, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
        top, left = index // columns * height, index % columns * width
        canvas[top : top + height, left : left + width] = image
    return Image.fromarray(canvas[..., 0] if channels == 1 else canvas)
