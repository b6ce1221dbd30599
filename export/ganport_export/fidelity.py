"""How far each variant is from the fp32 reference, in figures and pictures; what is too far is left out."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
from ganport_runtime.differences import Difference, compare
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


class FidelityMeter:
    """Compares variants with one reference, whose images it keeps: uint8, 12 MB of them at 64x64 pixels."""

    def __init__(self, run: Run, inputs: GeneratorInputs, images: int = IMAGES) -> None:
        self._feeds = inputs.batches(FIDELITY_SEED, images, AT_ONCE)
        self._wanted = [run(feed) for feed in self._feeds]
        self.shown = self._wanted[0][:SHOWN]  # in every comparison image

    def measure(self, run: Run) -> tuple[Difference, Pixels]:
        """Run a variant on the same inputs, batch by batch; its figures and its first images."""
        parts, first = [], None
        for feed, wanted in zip(self._feeds, self._wanted, strict=True):
            images = run(feed)
            first = images[:SHOWN] if first is None else first
            parts.append(compare(images, wanted))
        assert first is not None
        counts = [part.images for part in parts]
        figures = Difference(
            psnr_db_mean=float(np.average([part.psnr_db_mean for part in parts], weights=counts)),
            psnr_db_worst=min(part.psnr_db_worst for part in parts),
            share_off=float(np.average([part.share_off for part in parts], weights=counts)),
            largest_difference=max(part.largest_difference for part in parts),
            images=sum(counts),
        )
        return figures, first


def comparison_image(reference: Pixels, variant: Pixels) -> bytes:
    """A PNG of three rows: the reference's images [n, height, width, 1 or 3], the variant's, and how they differ."""
    difference = np.abs(reference.astype(np.int16) - variant) * AMPLIFIED
    rows = np.stack([reference, variant, np.minimum(difference, 255).astype(np.uint8)])
    framed = np.pad(rows, ((0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)), constant_values=WHITE)
    height, channels = framed.shape[2], framed.shape[4]
    sheet = framed.transpose(0, 2, 1, 3, 4).reshape(3 * height, -1, channels)
    buffer = io.BytesIO()
    picture(sheet[:-GAP, :-GAP]).save(buffer, "PNG")
    return buffer.getvalue()


def ship(
    graphs: Sequence[ExportedGraph], inputs: GeneratorInputs, min_psnr: float, observer: Observer, progress: Progress
) -> tuple[tuple[ExportedGraph, ...], Mapping[str, bytes]]:
    """Compare graphs with the first one; those of another precision below `min_psnr` (dB) are left out."""
    reference = graphs[0]
    progress(f"making the images of {reference.id}")
    meter = FidelityMeter(image_maker(reference.data), inputs)
    shipped: list[ExportedGraph] = []
    strips: dict[str, bytes] = {}
    for graph in graphs:
        progress(f"measuring {graph.id}")
        figures, images = meter.measure(image_maker(graph.data))
        if graph.precision != reference.precision and figures.psnr_db_mean < min_psnr:
            observer(
                f"{graph.id} is not in the bundle: PSNR {figures.psnr_db_mean:.1f} dB against {reference.id} "
                f"(worst image {figures.psnr_db_worst:.1f} dB, {figures.share_off:.1%} of pixel values off, by "
                f"{figures.largest_difference} of 255 at most), the floor is {min_psnr:g} dB (--min-psnr)"
            )
            continue
        fidelity = {**asdict(figures), "seed": FIDELITY_SEED, "reference": reference.id}
        shipped.append(replace(graph, fidelity=fidelity))
        if graph is not reference:
            strips[f"fidelity/{graph.id}.png"] = comparison_image(meter.shown, images)
    return tuple(shipped), strips
