"""How near a generator's graph comes to its network: figures, and the gates they must pass."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ganport_runtime.differences import PSNR_LIMIT_DB

from ganport_export.errors import ParityError
from ganport_export.reference import Pixels, Reference

__all__ = [
    "BATCHES",
    "GENERATOR_GATES",
    "NO_BUNDLE",
    "GeneratorGate",
    "GeneratorParity",
    "ImageDifference",
    "compare_images",
    "measure_generator",
]

BATCHES = (1, 2, 7, 64)  # one, the size that was traced, an odd one, and a full one
NO_BUNDLE = "no bundle was written"


@dataclass(frozen=True)
class ImageDifference:
    """Two sets of uint8 images side by side.

    Args:
        largest_difference: of any pixel value, of 255.
        psnr_db: peak signal-to-noise ratio over all pixel values together, in dB, 100 at most.
        share_off: share of pixel values that differ by one or more, 0 to 1.
    """

    largest_difference: int
    psnr_db: float
    share_off: float


def compare_images(reference: Pixels, images: Pixels) -> ImageDifference:
    """Compare uint8 images of one shape.

    Raises:
        ParityError: the shapes or dtypes differ.
    """
    if reference.shape != images.shape or images.dtype != np.uint8 or reference.dtype != np.uint8:
        raise ParityError(
            f"images are {images.dtype} {images.shape}, the network's are {reference.dtype} {reference.shape}"
        )
    difference = np.abs(reference.astype(np.int16) - images)
    mean_square = float(np.mean(np.square(difference, dtype=np.int32)))
    psnr_db = 10 * math.log10(255**2 / mean_square) if mean_square else math.inf
    return ImageDifference(int(difference.max()), min(psnr_db, PSNR_LIMIT_DB), float(np.mean(difference > 0)))


@dataclass(frozen=True)
class GeneratorParity(ImageDifference):
    """A generator's graph beside its network in float64.

    Args:
        largest_batch_difference: of any pixel value, of 255, between a latent alone or in a small batch and the same
            latent in the largest batch.
        images: how many were compared.
        seeds: of their latents.
        batches: sizes they were made in.
    """

    largest_batch_difference: int
    images: int
    seeds: tuple[int, ...]
    batches: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self) | {"seeds": list(self.seeds), "batches": list(self.batches)}


@dataclass(frozen=True)
class GeneratorGate:
    """What a generator's figures must keep to at least."""

    largest_difference: int
    psnr_db: float

    def check(self, name: str, parity: GeneratorParity) -> None:
        """Raise `ParityError` naming the first figure of the graph `name` that is over its limit."""
        if parity.largest_difference > self.largest_difference:
            figure = f"a pixel differs by {parity.largest_difference} of 255 from the network's, the limit is"
            raise ParityError(f"{name} is no faithful export: {figure} {self.largest_difference}; {NO_BUNDLE}")
        if parity.psnr_db < self.psnr_db:
            figure = f"PSNR {parity.psnr_db:.1f} dB against the network, the limit is"
            raise ParityError(f"{name} is no faithful export: {figure} {self.psnr_db:g} dB; {NO_BUNDLE}")
        if parity.largest_batch_difference > self.largest_difference:
            figure = f"a latent's pixel differs by {parity.largest_batch_difference} of 255 from batch to batch"
            raise ParityError(f"{name}: {figure}, the limit is {self.largest_difference}; {NO_BUNDLE}")


GENERATOR_GATES: Mapping[str, GeneratorGate] = {"fp32": GeneratorGate(largest_difference=1, psnr_db=55.0)}


def measure_generator(
    run: Callable[[npt.NDArray[np.float32]], Pixels], references: Sequence[Reference], batches: Sequence[int] = BATCHES
) -> GeneratorParity:
    """Run a graph on every reference's first latents in each batch size, and compare with the network's images."""
    wanted, made, batch_differences = [], [], [0]
    for reference in references:
        in_largest = run(reference.latents[: max(batches)])
        for batch in batches:
            images = in_largest if batch == max(batches) else run(reference.latents[:batch])
            wanted.append(reference.pixels[:batch])
            made.append(images)
            batch_differences.append(compare_images(in_largest[:batch], images).largest_difference)
    difference = compare_images(np.concatenate(wanted), np.concatenate(made))
    return GeneratorParity(
        **asdict(difference),
        largest_batch_difference=max(batch_differences),
        images=sum(map(len, made)),
        seeds=tuple(reference.seed for reference in references),
        batches=tuple(batches),
    )
