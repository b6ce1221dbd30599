"""A server under load: latency against offered rate up to the knee, and against clients that wait."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ganport_bench.report.figures.canvas import GRID, INK, SERIES, WRONG, log_ticks, new_figure, tidy
from ganport_bench.report.rows import Document
from ganport_bench.report.text import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["latency_under_load"]

LINES: Sequence[tuple[str, str, Literal["-", "--", "-.", ":"]]] = (
    ("p50", "o", "-"),
    ("p90", "s", "--"),
    ("p99", "D", "-."),
    ("p99.9", "^", ":"),
)

Answers = Mapping[str, Any]


def latency_under_load(document: Document) -> "Figure | None":
    """A panel for each kind of arrivals, and one for clients that wait for their answers."""
    load = document.get("load", {})
    rates = _by_arrivals(load.get("rates", ()))
    waiting = load.get("concurrency", ())
    if not (rates or waiting):
        return None
    figure = new_figure(12.5, 4.9, "A server under load: lower is better")
    grid = list(figure.subplots(1, len(rates) + bool(waiting), sharey=True, squeeze=False)[0])
    for axes, (arrivals, rows) in zip(grid, rates.items(), strict=False):
        _open(axes, rows, load.get("knee", {}), arrivals)
    if waiting:
        _closed(grid[-1], waiting)
    _scale(grid)
    figure.legend(handles=_legend(), loc="outside lower left", ncols=7, frameon=False, fontsize=9)
    return figure


def _by_arrivals(rows: Sequence[Answers]) -> dict[str, list[Answers]]:
    found: dict[str, list[Answers]] = {}
    for row in rows:
        found.setdefault(row["arrivals"], []).append(row)
    return found


def _open(axes: "Axes", rows: Sequence[Answers], knee: Mapping[str, Any], arrivals: str) -> None:
    """What was void is left out: it is the load generator's doing."""
    valid = sorted((row for row in rows if not row["void"]), key=lambda row: row["offered_per_second"])
    _lines(axes, valid, "offered_per_second")
    _mark_wrong(axes, valid, "offered_per_second")
    bound, found = knee.get("bound_ms"), knee.get(arrivals, {})
    if bound is not None:
        axes.axhline(bound, color=INK, linewidth=1, linestyle=(0, (6, 3)))
    held, failed = found.get("held_per_second"), found.get("failed_per_second")
    if held is not None:
        axes.axvline(held, color=INK, linewidth=1.2)
        axes.axvspan(held, failed or held, color=GRID, alpha=0.6, zorder=0)
    told = "no rate was held" if held is None else f"knee {number(held)}/s"
    axes.set_title(f"{arrivals} arrivals: {told}", loc="left", fontsize=10)
    axes.set_xlabel("requests offered/s")


def _closed(axes: "Axes", rows: Sequence[Answers]) -> None:
    _lines(axes, rows, "answered_per_second")
    _mark_wrong(axes, rows, "answered_per_second")
    for row in rows:
        latency = row["latency_ms"].get("p50")
        if latency:
            place = (row["answered_per_second"], latency)
            axes.annotate(str(row["concurrency"]), place, (5, -10), textcoords="offset points", fontsize=8)
    axes.set_title("clients that wait for their answers", loc="left", fontsize=10)
    axes.set_xlabel("answers/s; numbers at the points: clients")


def _lines(axes: "Axes", rows: Sequence[Answers], key: str) -> None:
    for (name, marker, dashes), color in zip(LINES, SERIES, strict=False):
        points = [(row[key], row["latency_ms"][name]) for row in rows if row["latency_ms"].get(name)]
        axes.plot(*zip(*points, strict=True) if points else ((), ()), dashes, marker=marker, markersize=4, color=color)


def _mark_wrong(axes: "Axes", rows: Sequence[Answers], key: str) -> None:
    for row in rows:
        latencies = [value for value in row["latency_ms"].values() if value]
        if not row["correct"] and latencies:
            place = (row[key], max(latencies))
            axes.annotate(
                "WRONG",
                place,
                (0, 6),
                textcoords="offset points",
                color=WRONG,
                fontsize=8,
                fontweight="bold",
                ha="center",
            )


def _scale(grid: Sequence["Axes"]) -> None:
    for axes in grid:
        axes.set_yscale("log")
        tidy(axes, grid="both")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        log_ticks(axes.yaxis)
    grid[0].set_ylabel("latency, ms, logarithmic")


def _legend() -> list[object]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lines = [
        Line2D([], [], color=color, marker=marker, markersize=4, linestyle=dashes, label=name)
        for (name, marker, dashes), color in zip(LINES, SERIES, strict=False)
    ]
    bound = Line2D([], [], color=INK, linewidth=1, linestyle=(0, (6, 3)), label="in time below this")
    knee = Line2D([], [], color=INK, linewidth=1.2, label="knee: the highest rate held")
    return [*lines, bound, knee, Patch(facecolor=GRID, alpha=0.6, label="between held and not held")]
