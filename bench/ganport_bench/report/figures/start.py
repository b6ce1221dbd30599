"""From a fresh process to the first image, step by step."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ganport_bench.report.figures.canvas import INK, PAPER, SERIES, new_figure, tidy, wrapped
from ganport_bench.report.rows import Document
from ganport_bench.report.text import number
from ganport_bench.start import STEPS, TO_FIRST_IMAGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["start_to_first_image"]

HATCHES = ("", "\\\\\\", "///", "", "xx")
LINE, AROUND = 0.42, 1.7  # inches

Quantity = Mapping[str, Any]


def start_to_first_image(document: Document) -> "Figure | None":
    """A bar for every way to open the bundle, made of its steps; ganport's own in bold."""
    start = document.get("start", {})
    found = {(one["system"], one["what"]): one for one in start.get("quantities", ()) if one["part"] == "start"}
    ways = [way for way in start.get("ways", ()) if (way["name"], TO_FIRST_IMAGE) in found]
    if not ways:
        return None
    figure = new_figure(11, AROUND + LINE * len(ways), "From a fresh process to the first image: shorter is better")
    axes = figure.subplots()
    tidy(axes, grid="x")
    axes.spines["left"].set_visible(False)
    for place, way in enumerate(ways):
        _stack(axes, place, way["name"], found)
    _name_lines(axes, ways)
    figure.legend(loc="outside lower left", ncols=len(STEPS), frameon=False, fontsize=9)
    return figure


def _stack(axes: "Axes", place: int, way: str, found: Mapping[tuple[str, str], Quantity]) -> None:
    """Medians of the steps; the text and the whisker are of the whole, whose median is its own."""
    left = 0.0
    for step, color, hatch in zip(STEPS, SERIES, HATCHES, strict=False):
        length = found[way, step]["value"] if (way, step) in found else 0.0
        label = step if place == 0 else None
        axes.barh(place, length, 0.62, left=left, color=color, hatch=hatch, edgecolor=PAPER, linewidth=0.6, label=label)
        left += length
    whole = found[way, TO_FIRST_IMAGE]
    axes.plot([whole["low"], whole["high"]], [place, place], "|-", color=INK, linewidth=1.3, markersize=6)
    end = max(left, whole["high"])
    axes.annotate(f"{number(whole['value'])} ms", (end, place), (6, 0), textcoords="offset points", va="center")


def _name_lines(axes: "Axes", ways: list[Quantity]) -> None:
    axes.set_yticks(range(len(ways)), [wrapped(way["name"]) for way in ways], fontsize=9)
    axes.set_ylim(len(ways) - 0.4, -0.6)
    axes.set_xlim(0, 1.12 * axes.get_xlim()[1])
    axes.set_xlabel("ms since the process was started, medians")
    for label, way in zip(axes.get_yticklabels(), ways, strict=True):
        label.set_fontweight("bold" if way["kind"] == "ganport" else "normal")
