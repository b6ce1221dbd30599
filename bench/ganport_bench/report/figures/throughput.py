"""Images a second of everyone, with intervals."""

from typing import TYPE_CHECKING

from ganport_bench.report.figures.canvas import INK, legend_of_kinds
from ganport_bench.report.figures.grid import Panel, bar, beside, panels
from ganport_bench.report.rows import Document, rows_of
from ganport_bench.report.text import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["throughput"]


def throughput(document: Document) -> "Figure | None":
    """A bar for every system at every batch size."""
    rows = rows_of(document)
    if not rows:
        return None
    figure, shown = panels(rows, "Throughput, medians and their 95 % intervals: longer is better", "images/s")
    for panel in shown:
        _draw(panel)
    legend_of_kinds(figure)
    return figure


def _draw(panel: Panel) -> None:
    for place, row in panel.lines:
        bar(panel.axes, place, row, row.rate.value)
        panel.axes.hlines(place, row.rate.low, row.rate.high, color=INK, linewidth=1.3)
        panel.axes.plot([row.rate.low, row.rate.high], [place, place], "|", color=INK, markersize=5)
    panel.axes.xaxis.set_major_formatter("{x:,.0f}")
    most = max((row.rate.high for _, row in panel.lines), default=1.0)
    beside(panel.axes, ((row.rate.high, place, number(row.rate.value), row) for place, row in panel.lines), most=most)
