"""How far each variant is from the fp32 reference, in figures and pictures; what is too far is left out."""

import dataclasses
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ganport_runtime.differences import Difference, compare
from ganport_runtime.latents import latents
from ganport_train.grid import WHITE, picture

from ganport_export.errors import Observer, Progress
from ganport_export.inputs import FIDELITY_SEED
from ganport_export.reference import Pixels
from ganport_export.session import GeneratorSession
from ganport_export.variants import Graph

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
        self._latents = [latents(FIDELITY_SEED, at, min(AT_ONCE, images - at), latent_dim) for at in starts]
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
            seed=FIDELITY_SEED,
            reference=self._reference,
        )


AMPLIFIED = 8  # times that a difference is shown; 32 and more of 255 are white
GAP = 2  # white pixels between images


def strip(reference: Pixels, variant: Pixels) -> bytes:
    """A PNG file of three rows: the reference's images, the variant's, and how much they differ: black is not at all.

    Args:
        reference: uint8 [n, height, width, channels], n at least 1, 1 or 3 channels.
        variant: its images of the same latents.
    """
    difference = np.abs(reference.astype(np.int16) - variant) * AMPLIFIED
    rows = np.stack([reference, variant, np.minimum(difference, 255).astype(np.uint8)])
    framed = np.pad(rows, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=WHITE)
    height, channels = framed.shape[2], framed.shape[4]
    sheet = framed.transpose(0, 2, 1, 3, 4).reshape(3 * height, -1, channels)
    buffer = io.BytesIO()
    picture(sheet[:-GAP, :-GAP]).save(buffer, "PNG")
    return buffer.getvalue()


@dataclass(frozen=True)
class Shipment:
    """What goes into the bundle.

    Args:
        graphs: with their fidelity, the reference first.
        strips: PNG files by their paths in the bundle.
    """

    graphs: tuple[Graph, ...]
    strips: Mapping[str, bytes]


def ship(graphs: Sequence[Graph], latent_dim: int, min_psnr: float, observer: Observer, progress: Progress) -> Shipment:
    """Compare every graph with the first one, on latents that nothing was fitted to.

    Args:
        graphs: a generator's, the fp32 reference first.
        latent_dim: numbers in one latent.
        min_psnr: the mean PSNR in dB below which a graph is left out; those of the reference's precision have passed
            the gates of the network itself, and stay.
        observer: told of each graph that is.
        progress: told which graph is being measured.
    """
    reference = graphs[0]
    progress(f"making the images of {reference.id}")
    meter = FidelityMeter(reference.id, GeneratorSession(reference.data), latent_dim)
    shipped: list[Graph] = []
    strips: dict[str, bytes] = {}
    for graph in graphs:
        progress(f"measuring {graph.id}")
        fidelity, images = meter.measure(GeneratorSession(graph.data))
        if graph.precision != reference.precision and fidelity.psnr_db_mean < min_psnr:
            observer(_left_out(graph, fidelity, min_psnr))
            continue
        shipped.append(dataclasses.replace(graph, fidelity=fidelity.to_json()))
        if graph is not reference:
            strips[f"fidelity/{graph.id}.png"] = strip(meter.shown, images)
    return Shipment(tuple(shipped), strips)


def _left_out(graph: Graph, fidelity: Fidelity, min_psnr: float) -> str:
    return (
        f"{graph.id} is not in the bundle: PSNR {fidelity.psnr_db_mean:.1f} dB against {fidelity.reference} "
        f"(worst image {fidelity.psnr_db_worst:.1f} dB, {fidelity.share_off:.1%} of pixel values off, by "
        f"{fidelity.largest_difference} of 255 at most), the floor is {min_psnr:g} dB (--min-psnr)"
    )
