"""Measures every variant of a generator against the reference, and leaves out what is below the floor."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ganport_export.fidelity import Fidelity, FidelityMeter
from ganport_export.observer import Observer, Progress
from ganport_export.session import GeneratorSession
from ganport_export.strip import strip
from ganport_export.variants import Graph

__all__ = ["Shipment", "ship"]


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
