"""Runs a user's module on a few latents and says, before anything is traced, what makes it no generator."""

import torch
from ganport_runtime.latents import latents
from ganport_runtime.manifest import ImageInfo
from torch import Tensor, nn

from ganport_export import seeds
from ganport_export.errors import ModuleError
from ganport_export.reference import in_float64, values_of
from ganport_export.user_code import user_code

__all__ = ["check_module"]

CHANNELS = (1, 3)
LATENTS = 3
TOLERANCE = 1e-6  # of values in [-1, 1]: nothing beside a pixel step, and far above float64's rounding


def check_module(module: nn.Module, latent_dim: int, image_size: int) -> ImageInfo:
    """Run `module` on latents float32 [3, latent_dim] and return the images' sizes.

    Raises:
        ModuleError: it fails, returns anything but float32 images of that size, draws random numbers, or lets
            the images of a batch depend on each other.
    """
    z = torch.from_numpy(latents(seeds.MODULE_CHECK, 0, LATENTS, latent_dim))
    images = _run(module, z)
    if not isinstance(images, Tensor):
        raise ModuleError(f"the network returns {type(images).__name__}, wanted one tensor of images")
    shape = list(images.shape)
    if shape[:1] + shape[2:] != [LATENTS, image_size, image_size] or shape[1] not in CHANNELS:
        wanted = f"[{LATENTS}, 1 or 3, {image_size}, {image_size}]"
        raise ModuleError(
            f"the network returns {shape} for {LATENTS} latents, wanted {wanted}: is the image size right?"
        )
    if images.dtype != torch.float32:
        raise ModuleError(f"the network returns {images.dtype}, wanted torch.float32")
    _check_alone(module, z)
    return ImageInfo(height=image_size, width=image_size, channels=shape[1])


def _check_alone(module: nn.Module, z: Tensor) -> None:
    """See in float64, where rounding is far below what would matter, that an image depends on its latent alone."""
    with in_float64(module):
        images, again, first = (values_of(module, batch) for batch in (z, z, z[:1]))
    if not torch.allclose(images, again, rtol=0, atol=TOLERANCE, equal_nan=True):
        raise ModuleError(
            "the network draws random numbers: two calls with one latent differ; use fixed noise in eval mode"
        )
    if not torch.allclose(images[:1], first, rtol=0, atol=TOLERANCE, equal_nan=True):
        raise ModuleError("an image changes with the other latents of its batch; use statistics kept from training")


def _run(module: nn.Module, z: Tensor) -> Tensor:
    doing = f"the network fails on latents float32 {list(z.shape)}"
    with user_code(doing, "is the latent size right?"), torch.no_grad():
        images: Tensor = module(z.clone())  # some change their input in place
    return images
