"""How far a variant's images are from those of the bundle's fp32 reference, on fresh latents."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ganport_runtime.differences import Difference, compare
from ganport_runtime.latents import latents

from ganport_export import seeds
from ganport_export.reference import Pixels

__all__ = ["IMAGES", "Fidelity", "FidelityMeter"]

IMAGES = 1024
SHOWN = 8  # of them, in a strip
AT_ONCE = 32  # images: more are hardly faster and take gigabytes at 256x256 pixels

Run = Callable[[npt.NDArray[np.float32]], Pixels]


@dataclass(frozen=True)
class Fidelity:
    """A variant's images beside the reference's.

    Args:
        psnr_db_mean: the mean of the images' own PSNRs, each 100 dB at most.
        psnr_db_worst: the lowest of them.
        share_off: share of pixel values that differ by one or more, 0 to 1.
        largest_difference: of any pixel value, of 255.
        images: how many were compared.
        seed: of their latents.
        reference: the reference's id.
    """

    psnr_db_mean: float
    psnr_db_worst: float
    share_off: float
    largest_difference: int
    images: int
    seed: int
    reference: str

    def to_json(self) -> Mapping[str, Any]:
        """The figures by name."""
        return asdict(self)


class FidelityMeter:
    """Compares variants with one reference, whose images it keeps: uint8, 12 MB of them at 64x64 pixels.

    Args:
        reference: the reference's id.
        run: makes its images, uint8 [n, height, width, channels], of latents float32 [n, latent_dim].
        latent_dim: numbers in one latent.
        images: how many are compared.
    """

    def __init__(self, reference: str, run: Run, latent_dim: int, images: int = IMAGES) -> None:
        self._reference = reference
        starts = range(0, images, AT_ONCE)
        self._latents = [latents(seeds.FIDELITY, at, min(AT_ONCE, images - at), latent_dim) for at in starts]
        self._wanted = [run(z) for z in self._latents]

    @property
    def shown(self) -> Pixels:
        """The reference's first images, for a strip."""
        return self._wanted[0][:SHOWN]

    def measure(self, run: Run) -> tuple[Fidelity, Pixels]:
        """Run a variant on the same latents, batch by batch; its figures and its first images, for a strip."""
        first = run(self._latents[0])
        rest = (run(z) for z in self._latents[1:])
        batches = itertools.chain([first], rest)
        parts = [compare(images, wanted) for images, wanted in zip(batches, self._wanted, strict=True)]
        return self._joined(parts), first[:SHOWN]

    def _joined(self, parts: Sequence[Difference]) -> Fidelity:
        images = [part.images for part in parts]
        return Fidelity(
            psnr_db_mean=float(np.average([part.psnr_db_mean for part in parts], weights=images)),
            psnr_db_worst=min(part.psnr_db_worst for part in parts),
            share_off=float(np.average([part.share_off for part in parts], weights=images)),
            largest_difference=max(part.largest_difference for part in parts),
            images=sum(images),
            seed=seeds.FIDELITY,
            reference=self._reference,
        )
