"""Pictures of an evaluation as PNG: accuracies, 2-D projections, sample images of each cluster."""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ganport_evaluate.evaluation import Evaluation
from ganport_evaluate.measurements import TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = ("accuracy.png", *(f"{method}.png" for method in TITLES), "clusters.png")
DPI = 120
COLUMNS = 14  # sample images a cluster
MAX_LEGEND = 24  # classes; a longer legend hides the picture
INK = "#222222"
GRID = "#dddddd"
PROBE_COLORS = {"linear_probe": "#3b6fb6", "nearest_neighbors": "#e08a3c"}
PROBE_TITLES = {"linear_probe": "linear probe", "nearest_neighbors": "nearest neighbors"}


def draw(evaluation: Evaluation) -> Iterator[tuple[str, bytes]]:
    """Name (one of `NAMES`) and PNG of each figure that the evaluation has the material for."""
    if evaluation.floor is not None:
        yield "accuracy.png", _png(_accuracies(evaluation))
    for method in evaluation.results[0].projections:
        yield f"{method}.png", _png(_scatter(evaluation, method))
    yield "clusters.png", _png(_contact_sheet(evaluation))


def _new(width: float, height: float) -> "Figure":
    """A figure without a display and without matplotlib's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pad_inches=0.1, metadata={"Software": None})
    return buffer.getvalue()


def _accuracies(evaluation: Evaluation) -> "Figure":
    figure = _new(9, 4.6)
    axes = figure.subplots()
    floor = evaluation.floor.value if evaluation.floor else 0.0
    for offset, field in ((-0.2, "linear_probe"), (0.2, "nearest_neighbors")):
        _bars(axes, evaluation, field, offset)
    axes.axhline(floor, color=INK, linewidth=1.2, linestyle=(0, (4, 3)), label=f"largest class {floor:.0%}")
    names = [f"{result.title}\n{result.dimensions:,} numbers" for result in evaluation.results]
    axes.set_xticks(range(len(names)), names)
    axes.set_ylim(0, 1.08)
    axes.set_yticks(np.linspace(0, 1, 6), [f"{tick:.0%}" for tick in np.linspace(0, 1, 6)])
    axes.set_ylabel(f"accuracy on {len(evaluation.dataset.test)} held-out images")
    axes.set_title("How well classes can be read off each representation", loc="left", fontsize=12)
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0)
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _bars(axes: "Axes", evaluation: Evaluation, field: str, offset: float) -> None:
    accuracies = [getattr(result, field).accuracy for result in evaluation.results]
    positions = np.arange(len(accuracies)) + offset
    values = np.array([accuracy.value for accuracy in accuracies])
    # rounding may put a bound an ulp on the wrong side of 0 or 1
    below = np.maximum(values - [accuracy.low for accuracy in accuracies], 0)
    above = np.maximum([accuracy.high for accuracy in accuracies] - values, 0)
    axes.bar(positions, values, 0.36, color=PROBE_COLORS[field], label=f"{PROBE_TITLES[field]}, 95 % interval")
    axes.errorbar(positions, values, [below, above], fmt="none", ecolor=INK, elinewidth=1.2, capsize=3)
    for position, accuracy in zip(positions, accuracies, strict=True):
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # keeps lines of the grid off the figures
        text = f"{accuracy.value:.1%}"
        axes.text(position, accuracy.high + 0.02, text, ha="center", fontsize=9, color=INK, bbox=box, zorder=1.5)


def _scatter(evaluation: Evaluation, method: str) -> "Figure":
    figure = _new(10, 10.6)
    labels = evaluation.dataset.labels
    panels = figure.subplots(2, 2).flat
    for axes, result in zip(panels, evaluation.results, strict=True):
        groups = result.clusters.assignment if labels is None else labels
        _panel(axes, result.projections[method], groups)
        axes.set_title(result.title, loc="left", fontsize=12, fontweight="normal" if result.is_control else "bold")
    colored = "its own k-means clusters (there are no labels)" if labels is None else "class"
    figure.suptitle(f"{TITLES[method]} of {len(evaluation.dataset)} images, colored by {colored}", fontsize=13)
    if labels is not None:
        _legend(figure, evaluation.dataset.class_names)
    return figure


def _panel(axes: "Axes", points: npt.NDArray[np.float32], groups: npt.NDArray[np.int64]) -> None:
    colors = np.array(_colors(int(groups.max()) + 1))
    order = np.random.default_rng(0).permutation(len(points))  # or the last class would lie on top of all others
    size = float(np.clip(9000 / len(points), 4, 40))
    axes.scatter(points[order, 0], points[order, 1], c=colors[groups[order]], s=size, alpha=0.75, linewidths=0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(GRID)


def _legend(figure: "Figure", class_names: tuple[str, ...]) -> None:
    from matplotlib.lines import Line2D

    if len(class_names) > MAX_LEGEND:
        figure.supxlabel(f"{len(class_names)} classes, too many for a legend", fontsize=10)
        return
    dots = [
        Line2D([], [], linestyle="", marker="o", markersize=7, color=color, label=name)
        for name, color in zip(class_names, _colors(len(class_names)), strict=True)
    ]
    longest = max(len(name) for name in class_names)
    ncols = int(np.clip(100 // (longest + 6), 1, len(dots)))
    figure.legend(handles=dots, loc="outside lower center", ncols=ncols, frameon=False, fontsize=10)


def _colors(count: int) -> list[str]:
    """Ten colors well apart, or as many as it takes from a map that runs through all hues."""
    import matplotlib as mpl
    from matplotlib.colors import to_hex

    if count <= 10:
        return [to_hex(mpl.colormaps["tab10"](index)) for index in range(count)]
    return [to_hex(mpl.colormaps["turbo"](value)) for value in np.linspace(0.03, 0.97, count)]


def _contact_sheet(evaluation: Evaluation) -> "Figure":
    result, dataset = evaluation.results[0], evaluation.dataset
    count = result.clusters.count
    figure = _new(11, 0.7 * count + 0.6)
    grid = figure.subplots(count, 1, squeeze=False)[:, 0]
    for number, axes in enumerate(grid):
        members = np.flatnonzero(result.clusters.assignment == number)
        axes.imshow(_strip(dataset.images, members), interpolation="nearest", vmin=0, vmax=255, cmap="gray")
        label = f"{len(members)} images{_mostly(evaluation, members)}"
        axes.set_yticks([dataset.images.shape[1] / 2], [label], fontsize=9)
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    figure.suptitle(f"k-means on the discriminator's features: {count} clusters, random images of each", fontsize=12)
    return figure


def _mostly(evaluation: Evaluation, members: npt.NDArray[np.int64]) -> str:
    dataset = evaluation.dataset
    if dataset.labels is None:
        return ""
    counts = np.bincount(dataset.labels[members], minlength=len(dataset.class_names))
    return f"\n{dataset.class_names[int(counts.argmax())]}: {counts.max() / len(members):.0%}"


def _strip(images: npt.NDArray[np.uint8], members: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Images side by side on white: uint8 [height, width, channels], or without channels if gray."""
    height, width, channels = images.shape[1:]
    gap = max(1, width // 16)
    strip: npt.NDArray[np.uint8] = np.full((height, COLUMNS * (width + gap) - gap, channels), 255, np.uint8)
    chosen = np.random.default_rng(0).permutation(members)[:COLUMNS]
    for column, index in enumerate(chosen):
        left = column * (width + gap)
        strip[:, left : left + width] = images[index]
    return strip[..., 0] if channels == 1 else strip
