"""Fidelity against speed: every plan and peer, and the front of those that nothing beats in both."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ganport_runtime.differences import PSNR_LIMIT_DB

from ganport_bench.report.figures.canvas import INK, MUTED, PAPER, PEER, PLAN, WRONG, new_figure, tidy
from ganport_bench.report.rows import Document, Row, batches_of, rows_of
from ganport_bench.report.text import number, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["fidelity_against_speed", "front_of"]

MARKERS = {"fp32": "o", "tf32": "p", "bf16": "s", "fp16": "D", "int8": "^"}
OTHER = "v"
APART_DB = 1.0
LINES = 7  # of names beside a panel, where there are no more


def fidelity_against_speed(document: Document) -> "Figure | None":
    """A panel for every batch size, one above the other, so that the names of the front are legible."""
    rows = [row for row in rows_of(document) if row.psnr_db is not None]
    if not rows:
        return None
    batches = batches_of(rows)
    title = "Fidelity against speed: further up and to the right is better"
    figure = new_figure(12.5, 0.9 + 3.3 * len(batches), title)
    for axes, batch in zip(figure.subplots(len(batches), 1, squeeze=False)[:, 0], batches, strict=True):
        _draw(axes, [row for row in rows if row.batch == batch])
        axes.set_title(f"batch {batch}", loc="left", fontsize=10)
    figure.legend(handles=_legend(rows), loc="outside lower left", ncols=5, frameon=False, fontsize=9)
    return figure


def front_of(rows: Sequence[Row]) -> list[Row]:
    """Of those whose images are right, who is beaten by nobody in both; the most faithful last.

    A slower one must be better by `APART_DB`: plans that differ in rounding alone are not all on it.
    """
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (-row.rate.value, -_psnr(row))):
        if row.is_right and (not front or _psnr(row) >= _psnr(front[-1]) + APART_DB):
            front.append(row)
    return front


def _psnr(row: Row) -> float:
    return row.psnr_db or 0.0


def _draw(axes: "Axes", rows: Sequence[Row]) -> None:
    tidy(axes, grid="both")
    for row in rows:
        _point(axes, row)
    front = front_of(rows)
    _stairs(axes, front)
    _names(axes, front)
    axes.set_xlabel(f"PSNR to the reference, dB ({PSNR_LIMIT_DB:g}: identical)")
    axes.set_ylabel("images/s")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylim(0, 1.18 * max(row.rate.high for row in rows))
    least = min(_psnr(row) for row in rows)
    axes.set_xlim(least - 0.05 * (PSNR_LIMIT_DB + 1 - least) - 1, PSNR_LIMIT_DB + 2)


def _point(axes: "Axes", row: Row) -> None:
    color = WRONG if not row.is_right else PLAN if row.is_plan else PEER
    marker = MARKERS.get(row.precision, OTHER)
    inside = color if row.is_plan and row.is_right else PAPER
    axes.vlines(_psnr(row), row.rate.low, row.rate.high, color=color, linewidth=1)
    axes.plot(_psnr(row), row.rate.value, marker, markersize=7, color=color, markerfacecolor=inside, alpha=0.9)
    if not row.is_right:
        text = f"WRONG {shortened(row.system, 40)}"
        axes.annotate(text, (_psnr(row), row.rate.value), (6, 5), textcoords="offset points", fontsize=7, color=WRONG)


def _stairs(axes: "Axes", front: Sequence[Row]) -> None:
    """Everything left of and below this line is beaten by someone on it."""
    speeds, decibels = [row.rate.value for row in front], [_psnr(row) for row in front]
    if front:
        axes.step([0.0, *decibels], [speeds[0], *speeds], where="pre", color=INK, linewidth=1, linestyle=":", zorder=1)


def _names(axes: "Axes", front: Sequence[Row]) -> None:
    """Everyone on the front, right of the panel, one below the other, with a line to its point."""
    for index, row in enumerate(front):
        axes.annotate(
            f"{shortened(row.system, 46)}\n{number(row.rate.value)} images/s, {number(row.psnr_db)} dB",
            (_psnr(row), row.rate.value),
            (1.03, 1 - (index + 0.5) / max(LINES, len(front))),
            textcoords="axes fraction",
            va="center",
            fontsize=7.5,
            fontweight="bold" if row.is_plan else "normal",
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.7, "shrinkB": 4, "relpos": (0, 0.5)},
        )


def _legend(rows: Sequence[Row]) -> list[object]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    shapes = [
        Line2D([], [], linestyle="", marker=MARKERS.get(name, OTHER), markersize=7, color=INK, label=name)
        for name in sorted({row.precision for row in rows})
    ]
    plan = Patch(facecolor=PLAN, label="filled: ganport's plans")
    peer = Patch(facecolor=PAPER, edgecolor=PEER, label="hollow: peers")
    wrong = Patch(facecolor=PAPER, edgecolor=WRONG, linestyle=":", label="hollow, named WRONG: wrong images")
    front = Line2D([], [], color=INK, linewidth=1, linestyle=":", label="Pareto front")
    return [*shapes, plan, peer, *([] if all(row.is_right for row in rows) else [wrong]), front]
