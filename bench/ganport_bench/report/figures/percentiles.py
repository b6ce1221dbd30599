"""How long a call takes, usually and at worst: p50, p90, p99 and p99.9 of everyone."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ganport_bench.report.figures.canvas import INK, PAPER, PEER, PLAN, WRONG, log_ticks, tidy
from ganport_bench.report.figures.grid import Panel, panels
from ganport_bench.report.rows import Document, Row, rows_of
from ganport_bench.timing import least_samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["percentiles"]

MARKERS: Mapping[str, tuple[str, float]] = {"p50": ("o", 5.5), "p90": ("|", 7), "p99": ("D", 4), "p99.9": ("X", 5.5)}


def percentiles(document: Document) -> "Figure | None":
    """A line from the first to the last percentile for every system at every batch size."""
    rows = [row for row in rows_of(document) if row.latency_ms]
    if not rows:
        return None
    figure, shown = panels(rows, "Latency of a call: further left is better", "ms of a call, logarithmic")
    for panel in shown:
        _draw(panel)
    figure.legend(handles=_legend(), loc="outside lower left", ncols=7, frameon=False, fontsize=9)
    return figure


def _draw(panel: Panel) -> None:
    panel.axes.set_xscale("log")
    tidy(panel.axes, grid="both")
    panel.axes.spines["left"].set_visible(False)
    for place, row in panel.lines:
        _line(panel.axes, place, row)
    log_ticks(panel.axes.xaxis)


def _line(axes: "Axes", place: int, row: Row) -> None:
    color = WRONG if not row.is_right else PLAN if row.is_plan else PEER
    ends = row.latency_ms.values()
    axes.plot([min(ends), max(ends)], [place, place], color=color, linewidth=1.6, linestyle=_dashes(row))
    for name, (marker, size) in MARKERS.items():
        if name in row.latency_ms:
            inside = color if is_known(row, name) else PAPER
            axes.plot(row.latency_ms[name], place, marker, markersize=size, color=color, markerfacecolor=inside)
    if not row.is_right:
        _say_wrong(axes, place, max(ends))


def _say_wrong(axes: "Axes", place: int, end: float) -> None:
    axes.annotate(
        "WRONG",
        (end, place),
        (6, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
        fontweight="bold",
        color=WRONG,
    )


def _dashes(row: Row) -> str:
    return "-" if row.is_plan else "--"


def is_known(row: Row, percentile: str) -> bool:
    """Whether there were calls enough for a percentile."""
    return row.samples is None or row.samples >= least_samples(float(percentile[1:]))


def _legend() -> list[object]:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], linestyle="", marker=marker, markersize=size, color=INK, label=name)
        for name, (marker, size) in MARKERS.items()
    ]
    few = Line2D([], [], linestyle="", marker="D", markersize=4, color=INK, markerfacecolor=PAPER, label="of few calls")
    plan = Line2D([], [], color=PLAN, linewidth=1.6, label="ganport's plans")
    peer = Line2D([], [], color=PEER, linewidth=1.6, linestyle="--", label="peers")
    return [*marks, few, plan, peer]
