"""How far each variant is from the fp32 reference, in figures and pictures; what is too far is left out."""

import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ganport_runtime.differences import compare
from ganport_train.grid import WHITE, picture

from ganport_export.errors import Observer, Progress
from ganport_export.inputs import FIDELITY_SEED, Feed, GeneratorInputs
from ganport_export.reference import AT_ONCE, Pixels
from ganport_export.session import image_maker
from ganport_export.variants import ExportedGraph

IMAGES = 1024
SHOWN = 8  # of them, in a comparison image
AMPLIFIED = 8  # times that a difference is shown; 32 and more of 255 are white
GAP = 2  # white pixels between images

Run = Callable[[Feed], Pixels]


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
        run: makes its images, uint8 [n, height, width, channels].
        inputs: what the generator takes.
        images: how many are compared.
    """

    def __init__(self, reference: str, run: Run, inputs: GeneratorInputs, images: int = IMAGES) -> None:
        self._reference = reference
        self._feeds = inputs.batches(FIDELITY_SEED, images, AT_ONCE)
        self._wanted = [run(feed) for feed in self._feeds]

    @property
    def shown(self) -> Pixels:
        """The reference's first images, for the comparison image."""
        return self._wanted[0][:SHOWN]

    def measure(self, run: Run) -> tuple[Fidelity, Pixels]:
        """Run a variant on the same inputs, batch by batch; its figures and its first images."""
        parts, first = [], None
        for feed, wanted in zip(self._feeds, self._wanted, strict=True):
            images = run(feed)
            first = images[:SHOWN] if first is None else first
            parts.append(compare(images, wanted))
        assert first is not None
        counts = [part.images for part in parts]
        fidelity = Fidelity(
            psnr_db_mean=float(np.average([part.psnr_db_mean for part in parts], weights=counts)),
            psnr_db_worst=min(part.psnr_db_worst for part in parts),
            share_off=float(np.average([part.share_off for part in parts], weights=counts)),
            largest_difference=max(part.largest_difference for part in parts),
            images=sum(counts),
            seed=FIDELITY_SEED,
            reference=self._reference,
        )
        return fidelity, first


def comparison_image(reference: Pixels, variant: Pixels) -> bytes:
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
        strips: comparison images, PNG files by their paths in the bundle.
    """

    graphs: tuple[ExportedGraph, ...]
    strips: Mapping[str, bytes]


def ship(
    graphs: Sequence[ExportedGraph], inputs: GeneratorInputs, min_psnr: float, observer: Observer, progress: Progress
) -> Shipment:
    """Compare every graph with the first one, on latents that nothing was fitted to.

    Args:
        graphs: a generator's, the fp32 reference first.
        inputs: what they take.
        min_psnr: the mean PSNR in dB below which a graph is left out; those of the reference's precision have passed
            the gates of the network itself, and stay.
        observer: told of each graph that is.
        progress: told which graph is being measured.
    """
    reference = graphs[0]
    progress(f"making the images of {reference.id}")
    meter = FidelityMeter(reference.id, image_maker(reference.data), inputs)
    shipped: list[ExportedGraph] = []
    strips: dict[str, bytes] = {}
    for graph in graphs:
        progress(f"measuring {graph.id}")
        fidelity, images = meter.measure(image_maker(graph.data))
        if graph.precision != reference.precision and fidelity.psnr_db_mean < min_psnr:
            observer(
                f"{graph.id} is not in the bundle: PSNR {fidelity.psnr_db_mean:.1f} dB against {reference.id} "
                f"(worst image {fidelity.psnr_db_worst:.1f} dB, {fidelity.share_off:.1%} of pixel values off, by "
                f"{fidelity.largest_difference} of 255 at most), the floor is {min_psnr:g} dB (--min-psnr)"
            )
            continue
        shipped.append(dataclasses.replace(graph, fidelity=fidelity.to_json()))
        if graph is not reference:
            strips[f"fidelity/{graph.id}.png"] = comparison_image(meter.shown, images)
    return Shipment(tuple(shipped), strips)
