"""Runs a user's module on a few latents and says, before anything is traced, what makes it no generator."""

import torch
from ganport_runtime.latents import latents
from ganport_runtime.manifest import ImageInfo
from torch import Tensor, nn

from ganport_export.errors import ModuleError
from ganport_export.trace import first_sentence

__all__ = ["check_module"]

CHANNELS = (1, 3)
PROBE_SEED, PROBE_COUNT = 1000, 3
TOLERANCE = 1e-3  # of values in [-1, 1]: an eighth of a pixel step, and far above float32's rounding


def check_module(module: nn.Module, latent_dim: int, image_size: int) -> ImageInfo:
    """Run `module` on latents float32 [3, latent_dim] and return the images' sizes.

    Raises:
        ModuleError: it fails, returns anything but float32 images of that size, draws random numbers, or lets
            the images of a batch depend on each other.
    """
    z = torch.from_numpy(latents(PROBE_SEED, 0, PROBE_COUNT, latent_dim))
    images = _run(module, z)
    if not isinstance(images, Tensor):
        raise ModuleError(f"the network returns {type(images).__name__}, wanted one tensor of images")
    shape = list(images.shape)
    if shape[:1] + shape[2:] != [PROBE_COUNT, image_size, image_size] or shape[1] not in CHANNELS:
        wanted = f"[{PROBE_COUNT}, 1 or 3, {image_size}, {image_size}]"
        raise ModuleError(
            f"the network returns {shape} for {PROBE_COUNT} latents, wanted {wanted}: is the image size right?"
        )
    if images.dtype != torch.float32:
        raise ModuleError(f"the network returns {images.dtype}, wanted torch.float32")
    if not torch.allclose(images, _run(module, z), rtol=0, atol=TOLERANCE, equal_nan=True):
        raise ModuleError(
            "the network draws random numbers: two calls with one latent differ; use fixed noise in eval mode"
        )
    if not torch.allclose(images[:1], _run(module, z[:1]), rtol=0, atol=TOLERANCE, equal_nan=True):
        raise ModuleError("an image changes with the other latents of its batch; use statistics kept from training")
    return ImageInfo(height=image_size, width=image_size, channels=shape[1])


def _run(module: nn.Module, z: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            images: Tensor = module(z)
    except Exception as error:  # whatever the user's own module raises
        given = f"latents float32 {list(z.shape)}"
        raise ModuleError(
            f"the network fails on {given}: {first_sentence(error)}; is the latent size right?"
        ) from error
    return images
