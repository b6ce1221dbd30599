"""Where the time of the fastest plans goes, node by node, beside the least that each could take."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ganport_bench.report.figures.canvas import (
    INK,
    MUTED,
    PAPER,
    PEER,
    PEER_HATCH,
    PLAN,
    bar_style,
    new_figure,
    tidy,
    wrapped,
)
from ganport_bench.report.rows import Document
from ganport_bench.report.text import number, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["time_by_node"]

MOST = 14  # nodes of a plan; what is left is one bar
LINE, AROUND = 0.24, 1.0  # inches

Node = Mapping[str, Any]


def time_by_node(document: Document) -> "Figure | None":
    """A panel for every plan and batch size, the longest node first."""
    profiles = [profile for profile in document.get("nodes", ()) if profile["nodes"]]
    if not profiles:
        return None
    shown = [_longest(profile["nodes"]) for profile in profiles]
    heights = [LINE * len(nodes) + AROUND for nodes in shown]
    figure = new_figure(11, sum(heights) + 0.6, "Time by node, and the least it could take on this machine")
    grid = figure.subplots(len(profiles), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, profile, nodes in zip(grid, profiles, shown, strict=True):
        _draw(axes, nodes)
        total = sum(node["milliseconds"] for node in profile["nodes"])
        name = f"{profile['plan']}, {profile['precision']}, batch {profile['batch']}: {number(total)} ms in all"
        axes.set_title(shortened(name, 110), loc="left", fontsize=10)
    figure.legend(handles=_legend(), loc="outside lower left", ncols=4, frameon=False, fontsize=9)
    return figure


def _longest(nodes: Sequence[Node]) -> list[Node]:
    """The longest of them, and one for all the others."""
    ordered = sorted(nodes, key=lambda node: -node["milliseconds"])
    rest = ordered[MOST:]
    if not rest:
        return ordered
    other = {key: sum(node[key] for node in rest) for key in ("milliseconds", "share")}
    return [*ordered[:MOST], {**other, "name": f"{len(rest)} others", "executed_as": ""}]


def _draw(axes: "Axes", nodes: Sequence[Node]) -> None:
    tidy(axes, grid="x")
    axes.spines["left"].set_visible(False)
    most = max(node["milliseconds"] for node in nodes)
    for place, node in enumerate(nodes):
        spent, floor = node["milliseconds"], node.get("floor_milliseconds")
        axes.barh(place, spent, 0.72, **_style(node))
        if floor:
            axes.plot([floor, floor], [place - 0.45, place + 0.45], color=INK, linewidth=2)
        text = f"{number(spent)} ms, {node['share']:.0%}  {shortened(node['executed_as'], 40)}"
        axes.text(max(spent, floor or 0) + 0.01 * most, place, text, va="center", fontsize=7.5)
    axes.set_yticks(range(len(nodes)), [wrapped(node["name"]) for node in nodes], fontsize=8)
    axes.set_ylim(len(nodes) - 0.4, -0.6)
    axes.set_xlim(0, 1.45 * most)
    axes.set_xlabel("ms of a call")


def _style(node: Node) -> dict[str, Any]:
    """What multiplies matrices is full, all else hatched; several nodes together are grey."""
    if not node["executed_as"]:
        return {"facecolor": MUTED}
    return dict(bar_style(is_plan=bool(node["multiply_adds"]), is_right=True))


def _legend() -> list[object]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    floor = Line2D([], [], linestyle="", marker="|", markersize=10, markeredgewidth=2, color=INK, label="floor")
    return [
        Patch(facecolor=PLAN, label="multiplies matrices"),
        Patch(facecolor=PEER, hatch=PEER_HATCH, edgecolor=PAPER, label="does not"),
        Patch(facecolor=MUTED, label="several nodes together"),
        floor,
    ]
