"""Latency against throughput: how both grow with the batch size, of those who are best at any of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ganport_bench.report.figures.canvas import MUTED, SERIES, WRONG, log_ticks, new_figure, tidy
from ganport_bench.report.rows import Document, Row, rows_of, systems_of
from ganport_bench.report.text import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["latency_against_throughput"]

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
MOST_NAMED = len(MARKERS)


def latency_against_throughput(document: Document) -> "Figure | None":
    """A line for every system, joining its batch sizes; the best of each kind are named, the others pale."""
    rows = [row for row in rows_of(document) if "p50" in row.latency_ms]
    if not rows:
        return None
    figure = new_figure(11, 5.6, "Latency against throughput, batch by batch: further down and to the right is better")
    axes = figure.subplots()
    tidy(axes, grid="both")
    named = [system for system in systems_of(rows) if system in _best(document)][:MOST_NAMED]
    for system in systems_of(rows):
        if system not in named:
            _pale(axes, [row for row in rows if row.system == system])
    for index, system in enumerate(named):
        _line(axes, [row for row in rows if row.system == system], index)
    _scales(axes)
    figure.legend(loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    return figure


def _best(document: Document) -> set[str]:
    """Everyone whom the summary names at any batch size."""
    return {name for best in document.get("summary", {}).values() for name in best.values() if isinstance(name, str)}


def _points(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
    by_batch = sorted(rows, key=lambda row: row.batch)
    return [row.rate.value for row in by_batch], [row.latency_ms["p50"] for row in by_batch]


def _pale(axes: "Axes", rows: Sequence[Row]) -> None:
    is_right = all(row.is_right for row in rows)
    axes.plot(
        *_points(rows),
        color=MUTED if is_right else WRONG,
        linewidth=0.8,
        linestyle=("-" if rows[0].is_plan else "--") if is_right else ":",
        marker=".",
        alpha=0.45 if is_right else 0.9,
        label=None if is_right else f"WRONG: {shortened(rows[0].system, 50)}",
    )


def _line(axes: "Axes", rows: Sequence[Row], index: int) -> None:
    kind = "plan" if rows[0].is_plan else "peer"
    color, dashes = SERIES[index % len(SERIES)], "-" if rows[0].is_plan else "--"
    label = f"{shortened(rows[0].system, 52)} ({kind})"
    speeds, latencies = _points(rows)
    axes.plot(speeds, latencies, dashes, marker=MARKERS[index], color=color, linewidth=1.8, label=label)
    if index == 0:
        for row in rows:
            _batch(axes, row)


def _batch(axes: "Axes", row: Row) -> None:
    place = (row.rate.value, row.latency_ms["p50"])
    axes.annotate(f"batch {row.batch}", place, (8, -10), textcoords="offset points", fontsize=8)


def _scales(axes: "Axes") -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    log_ticks(axes.xaxis)
    log_ticks(axes.yaxis)
    axes.set_xlabel("images/s, logarithmic")
    axes.set_ylabel("p50 of a call, ms, logarithmic")
