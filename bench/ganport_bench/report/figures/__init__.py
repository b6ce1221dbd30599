"""Figures of a document: each file makes one of the document alone, or none where it has no such part."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ganport_bench.report.figures.canvas import png, style, svg
from ganport_bench.report.figures.fidelity import fidelity_against_speed
from ganport_bench.report.figures.latency import latency_against_throughput
from ganport_bench.report.figures.load import latency_under_load
from ganport_bench.report.figures.nodes import time_by_node
from ganport_bench.report.figures.percentiles import percentiles
from ganport_bench.report.figures.share import share_of_ceiling
from ganport_bench.report.figures.start import start_to_first_image
from ganport_bench.report.figures.throughput import throughput
from ganport_bench.report.rows import Document

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FIGURES", "Picture", "draw"]

FIGURES: "Mapping[str, Callable[[Document], Figure | None]]" = {
    "throughput": throughput,
    "latency-against-throughput": latency_against_throughput,
    "percentiles": percentiles,
    "fidelity-against-speed": fidelity_against_speed,
    "share-of-ceiling": share_of_ceiling,
    "time-by-node": time_by_node,
    "start-to-first-image": start_to_first_image,
    "latency-under-load": latency_under_load,
}


@dataclass(frozen=True)
class Picture:
    """One figure.

    Attributes:
        name: of its files, without their ending.
        png: in pixels.
        svg: in lines and text.
    """

    name: str
    png: bytes
    svg: str


def draw(document: Document) -> Iterator[Picture]:
    """Every figure for which the document has the material."""
    with style():
        for name, make in FIGURES.items():
            figure = make(document)
            if figure is not None:
                yield Picture(name, png(figure), svg(figure))
