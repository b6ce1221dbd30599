"""The probe: a few latents and the pixels that the network itself makes of them, for every plan to prove itself on."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ganport_runtime.manifest import Probe
from ganport_train.networks import Discriminator
from torch import nn

from ganport_export import seeds
from ganport_export.bundle_writer import sha256
from ganport_export.reference import discriminator_reference, make_reference

__all__ = ["FILE", "IMAGES", "ProbeFile", "make_probe"]

FILE = "probe.npz"
IMAGES = 8


@dataclass(frozen=True)
class ProbeFile:
    """The probe's file.

    Args:
        data: an npz with `z` float32 [n, latent_dim], `image` uint8 [n, height, width, channels] and, where there is a
            discriminator, `logit` float32 [n] of these images.
    """

    data: bytes

    @property
    def entry(self) -> Probe:
        """What the manifest says of it."""
        return Probe(FILE, sha256(self.data), IMAGES)


def make_probe(network: nn.Module, latent_dim: int, discriminator: Discriminator | None = None) -> ProbeFile:
    """Run a generator, and the discriminator on what it makes, in float64.

    Raises:
        ModuleError: the generator does not run in float64.
    """
    reference = make_reference(network, seeds.PROBE, IMAGES, latent_dim)
    arrays: dict[str, npt.NDArray[Any]] = {"z": reference.latents, "image": reference.pixels}
    if discriminator is not None:
        logits, _ = discriminator_reference(discriminator, reference.pixels)
        arrays["logit"] = logits.astype(np.float32)
    return ProbeFile(_npz(arrays))


def _npz(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    """The same bytes for the same arrays: numpy dates the entries of its archives 1980."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: np.ascontiguousarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]
    return buffer.getvalue()
