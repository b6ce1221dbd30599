"""The share of this machine's ceiling that everyone reaches."""

from typing import TYPE_CHECKING

from ganport_bench.report.figures.canvas import INK, legend_of_kinds
from ganport_bench.report.figures.grid import Panel, bar, beside, panels
from ganport_bench.report.rows import Document, rows_of
from ganport_bench.report.text import per_cent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["share_of_ceiling"]


def share_of_ceiling(document: Document) -> "Figure | None":
    """A bar for every row for whose precision there is a ceiling."""
    from matplotlib.lines import Line2D

    rows = [row for row in rows_of(document) if row.share is not None]
    if not rows:
        return None
    title = "Share of what this machine could do at most: longer is better"
    figure, shown = panels(rows, title, "% of the ceiling")
    for panel in shown:
        _draw(panel)
    legend_of_kinds(figure, Line2D([], [], color=INK, linewidth=1.2, linestyle="--", label="the ceiling"))
    return figure


def _draw(panel: Panel) -> None:
    shares = [(place, row, row.share or 0.0) for place, row in panel.lines]
    for place, row, share in shares:
        bar(panel.axes, place, row, 100 * share)
    most = max(100.0, *(100 * share for _, _, share in shares))
    panel.axes.axvline(100, color=INK, linewidth=1.2, linestyle="--")
    beside(panel.axes, ((100 * share, place, per_cent(share), row) for place, row, share in shares), most=most)
