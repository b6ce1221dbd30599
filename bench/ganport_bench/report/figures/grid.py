"""A line for every system and a panel for every batch size: the ground of several figures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ganport_bench.report.figures.canvas import INK, PAPER, WRONG, bar_style, new_figure, tidy, wrapped
from ganport_bench.report.rows import Row, batches_of, systems_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Panel", "bar", "beside", "panels"]

BEHIND = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}  # keeps lines off the figures
WIDTH, LINE, AROUND = 12.5, 0.25, 1.5  # inches


@dataclass(frozen=True)
class Panel:
    """One batch size.

    Attributes:
        axes: where it is drawn.
        lines: its rows, each with its place on the y axis.
    """

    axes: "Axes"
    lines: Sequence[tuple[int, Row]]


def panels(rows: Sequence[Row], title: str, label: str) -> "tuple[Figure, list[Panel]]":
    """A figure with a panel a batch size, side by side; the names stand once, at its left, plans in bold.

    Args:
        rows: what is shown.
        title: of the figure.
        label: of the x axes, with its unit.
    """
    systems, batches = systems_of(rows), batches_of(rows)
    figure = new_figure(WIDTH, AROUND + LINE * len(systems), title)
    grid = figure.subplots(1, len(batches), sharey=True, squeeze=False)[0]
    places = {system: place for place, system in enumerate(systems)}
    for axes, batch in zip(grid, batches, strict=True):
        tidy(axes, grid="x")
        axes.set_title(f"batch {batch}", loc="left", fontsize=10)
        axes.set_xlabel(label)
        axes.spines["left"].set_visible(False)
    _name_lines(grid[0], systems, {row.system for row in rows if row.is_plan})
    found = [[(places[row.system], row) for row in rows if row.batch == batch] for batch in batches]
    return figure, [Panel(axes, lines) for axes, lines in zip(grid, found, strict=True)]


def _name_lines(axes: "Axes", systems: Sequence[str], plans: set[str]) -> None:
    axes.set_yticks(range(len(systems)), list(map(wrapped, systems)), fontsize=8)
    axes.set_ylim(len(systems) - 0.4, -0.6)
    for label, system in zip(axes.get_yticklabels(), systems, strict=True):
        label.set_fontweight("bold" if system in plans else "normal")


def bar(axes: "Axes", place: int, row: Row, value: float) -> None:
    """A bar that tells plans, peers and wrong images apart."""
    axes.barh(place, value, 0.72, **_styled(row))


def _styled(row: Row) -> dict[str, Any]:
    return dict(bar_style(is_plan=row.is_plan, is_right=row.is_right))


def beside(axes: "Axes", texts: Iterable[tuple[float, int, str, Row]], *, most: float) -> None:
    """Write a text right of each bar or its interval, with room for it.

    Args:
        axes: of the panel.
        texts: end of the bar, place, text, and whose it is.
        most: the largest end.
    """
    for end, place, text, row in texts:
        color, weight = (INK, "normal") if row.is_right else (WRONG, "bold")
        font: dict[str, Any] = {"fontsize": 7.5, "color": color, "fontweight": weight, "bbox": BEHIND}
        axes.text(end + 0.02 * most, place, f"{text}{row.marks}", va="center", **font)
    axes.set_xlim(0, 1.3 * most)
