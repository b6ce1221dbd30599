"""Pictures of a document of `ganport bench`: each function makes one of the document alone, or None.

Plans are full and bold, peers hatched or dashed, wrong images dotted and named. Colors are Okabe and Ito's, which
people with color blindness tell apart.
"""

import io
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ganport_runtime.differences import PSNR_LIMIT_DB

from ganport_bench.tables import number, percent, shortened
from ganport_bench.timing import least_samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure as Canvas

Document = Mapping[str, Any]
Row = Mapping[str, Any]

PAPER, INK, GRID, MUTED = "#ffffff", "#222222", "#dddddd", "#8c8c8c"
PLAN, PEER, WRONG = "#0072b2", "#e69f00", "#d55e00"
SERIES = (PLAN, PEER, "#009e73", "#cc79a7", WRONG, "#56b4e9")
PAGE_COLORS = {  # by color: the page's own name for it, which knows light and dark
    PAPER: "paper", INK: "ink", GRID: "grid", MUTED: "muted", PLAN: "plan", PEER: "peer", WRONG: "wrong",
    "#009e73": "third", "#cc79a7": "fourth", "#56b4e9": "sixth",
}  # fmt: skip
HATCH = "////"
FAULT: dict[str, Any] = {"fontsize": 7.5, "fontweight": "bold", "color": WRONG}
WIDTH, LINE = 12.5, 0.25  # inches: of a picture, of a system's line
STEPS = ("interpreter", "import", "engine import", "open", "first image")  # of a start, and the whole:
TO_FIRST_IMAGE = "start of the process to the first image"


def _batches(rows: Sequence[Row]) -> list[int]:
    return sorted({row["batch"] for row in rows})


def _is_plan(row: Row) -> bool:
    return bool(row["kind"] == "plan")


def _latency(row: Row) -> dict[str, float]:
    return {name: value for name, value in row["latency_ms"].items() if value is not None}


def _new(width: float, height: float, title: str) -> "Canvas":
    """A figure of so many inches, drawn by Agg: no display and no global state of matplotlib takes part."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(width, height), layout="constrained", facecolor=PAPER)
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    return figure


def _tidy(axes: "Axes", grid: str) -> None:
    """Fine lines across one axis or `both`, behind all else, and no frame."""
    axes.set_facecolor(PAPER)
    axes.grid(axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines["left"].set_visible(grid != "x")
    axes.tick_params(length=0)


def _log_ticks(axis: "Axis") -> None:
    """Plain numbers instead of powers of ten; 1, 2 and 5 of each decade where there is room."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 300 * low else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


def _name_lines(axes: "Axes", names: Sequence[str], bold: Sequence[bool], fontsize: float = 8) -> None:
    lines = ["\n".join(textwrap.wrap(name, 44, max_lines=2, placeholder=" …")) or name for name in names]
    axes.set_yticks(range(len(names)), lines, fontsize=fontsize)
    axes.set_ylim(len(names) - 0.4, -0.6)
    for label, is_bold in zip(axes.get_yticklabels(), bold, strict=True):
        label.set_fontweight("bold" if is_bold else "normal")


def _bar_style(*, is_plan: bool, is_right: bool = True) -> dict[str, Any]:
    if not is_right:
        return {"facecolor": "none", "edgecolor": WRONG, "linestyle": ":", "linewidth": 1.2}
    if is_plan:
        return {"facecolor": PLAN}
    return {"facecolor": PEER, "hatch": HATCH, "edgecolor": PAPER, "linewidth": 0}


def _color(row: Row) -> str:
    return WRONG if not row["correct"] else PLAN if _is_plan(row) else PEER


def _say(axes: "Axes", text: str, place: tuple[float, float], offset: tuple[float, float], **style: Any) -> None:
    axes.annotate(text, place, offset, textcoords="offset points", **style)


def _mark(label: str, **style: Any) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **{"color": INK, "linestyle": "", **style})


def _patch(label: str, **style: Any) -> Any:
    from matplotlib.patches import Patch

    return Patch(label=label, **style)


def _legend(figure: "Canvas", handles: Sequence[Any] | None = None, columns: int = 6) -> None:
    """Below all panels; without handles, of what was drawn with a label."""
    if handles is None:
        handles = [handle for axes in figure.axes for handle in axes.get_legend_handles_labels()[0]]
    if handles:
        figure.legend(handles=list(handles), loc="outside lower left", ncols=columns, frameon=False, fontsize=9)


def _kinds(plan: str = "ganport's plans", peer: str = "peers") -> list[Any]:
    return [_patch(plan, facecolor=PLAN), _patch(peer, facecolor=PEER, hatch=HATCH, edgecolor=PAPER)]


def _panels(rows: Sequence[Row], title: str, label: str) -> "tuple[Canvas, list[tuple[Axes, list[tuple[int, Row]]]]]":
    """A panel for every batch size, side by side, with its rows and their lines; names stand once, at the left."""
    batches = _batches(rows)
    rates: dict[str, tuple[int, float]] = {}
    for row in rows:
        rates[row["system"]] = max(rates.get(row["system"], (0, 0.0)), (row["batch"], row["images_per_second"]))
    systems = sorted(rates, key=lambda system: rates[system], reverse=True)  # the fastest at the largest batch first
    figure = _new(WIDTH, 1.5 + LINE * len(systems), title)
    grid = figure.subplots(1, len(batches), sharey=True, squeeze=False)[0]
    for axes, batch in zip(grid, batches, strict=True):
        _tidy(axes, "x")
        axes.set_title(f"batch {batch}", loc="left", fontsize=10)
        axes.set_xlabel(label)
    plans = {row["system"] for row in rows if _is_plan(row)}
    _name_lines(grid[0], systems, [system in plans for system in systems])
    lines = [[(systems.index(row["system"]), row) for row in rows if row["batch"] == batch] for batch in batches]
    return figure, list(zip(grid, lines, strict=True))


def _bars(axes: "Axes", bars: Sequence[tuple[int, Row, float, float, str]], most: float) -> None:
    """Bars with a text right of each: line, row, length, where the text begins, the text."""
    for place, row, length, end, text in bars:
        axes.barh(place, length, 0.72, **_bar_style(is_plan=_is_plan(row), is_right=row["correct"]))
        marks = ("" if row["correct"] else " WRONG") + (" wide" if row.get("is_wide") else "")
        font: dict[str, Any] = {"color": INK} if row["correct"] else {"color": WRONG, "fontweight": "bold"}
        behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.8}  # keeps lines off the numbers
        axes.text(end + 0.02 * most, place, text + marks, va="center", fontsize=7.5, bbox=behind, **font)
    axes.set_xlim(0, 1.3 * most)


def throughput(document: Document) -> "Canvas | None":
    """A bar for every system at every batch size, with its interval."""
    if not (rows := list(document.get("rows", ()))):
        return None
    figure, panels = _panels(rows, "Throughput, medians and their 95 % intervals: longer is better", "images/s")
    for axes, lines in panels:
        rates = [(place, row, row["images_per_second"], row["low"], row["high"]) for place, row in lines]
        bars = [(place, row, rate, high, number(rate)) for place, row, rate, _, high in rates]
        _bars(axes, bars, max(high for *_, high in rates))
        for place, _, _, low, high in rates:
            axes.plot([low, high], [place, place], "|-", color=INK, linewidth=1.3, markersize=5)
        axes.xaxis.set_major_formatter("{x:,.0f}")
    _legend(figure, _kinds())
    return figure


def share_of_ceiling(document: Document) -> "Canvas | None":
    """A bar for every row for whose precision there is a ceiling."""
    rows = [row for row in document.get("rows", ()) if row["share_of_ceiling"] is not None]
    if not rows:
        return None
    title = "Share of what this machine could do at most: longer is better"
    figure, panels = _panels(rows, title, "% of the ceiling")
    for axes, lines in panels:
        shares = [(place, row, 100 * row["share_of_ceiling"]) for place, row in lines]
        axes.axvline(100, color=INK, linewidth=1.2, linestyle="--")
        bars = [(place, row, share, share, percent(share / 100)) for place, row, share in shares]
        _bars(axes, bars, max(100.0, *(share for *_, share in shares)))
    _legend(figure, [*_kinds(), _mark("the ceiling", linewidth=1.2, linestyle="--")])
    return figure


def percentiles(document: Document) -> "Canvas | None":
    """A line from p50 to the last percentile, for every system at every batch size."""
    markers = {"p50": ("o", 5.5), "p90": ("|", 7), "p99": ("D", 4), "p99.9": ("X", 5.5)}
    rows = [row for row in document.get("rows", ()) if _latency(row)]
    if not rows:
        return None
    figure, panels = _panels(rows, "Latency of a call: further left is better", "ms of a call, logarithmic")
    for axes, lines in panels:
        axes.set_xscale("log")
        axes.grid(axis="both", color=GRID, linewidth=0.8)
        for place, row in lines:
            latency, color, samples = _latency(row), _color(row), row.get("samples")
            ends = [min(latency.values()), max(latency.values())]
            axes.plot(ends, [place, place], "-" if _is_plan(row) else "--", color=color, linewidth=1.6)
            for name, (marker, size) in markers.items():
                if name in latency:
                    is_known = samples is None or samples >= least_samples(float(name[1:]))
                    inside = color if is_known else PAPER
                    axes.plot(latency[name], place, marker, markersize=size, color=color, markerfacecolor=inside)
            if not row["correct"]:
                _say(axes, "WRONG", (ends[1], place), (6, 0), va="center", **FAULT)
        _log_ticks(axes.xaxis)
    marks = [_mark(name, marker=marker, markersize=size) for name, (marker, size) in markers.items()]
    few = _mark("of few calls", marker="D", markersize=4, markerfacecolor=PAPER)
    plan = _mark("ganport's plans", color=PLAN, linewidth=1.6, linestyle="-")
    peer = _mark("peers", color=PEER, linewidth=1.6, linestyle="--")
    _legend(figure, [*marks, few, plan, peer], columns=7)
    return figure


def pareto_front(rows: Sequence[Row]) -> list[Row]:
    """Rows with right images that none beats in both speed and PSNR; the most faithful last.

    A slower one must be better by 1 dB: plans that differ in rounding alone are not all on it.
    """
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (-row["images_per_second"], -(row["psnr_db"] or 0.0))):
        if row["correct"] and (not front or (row["psnr_db"] or 0.0) >= (front[-1]["psnr_db"] or 0.0) + 1):
            front.append(row)
    return front


def fidelity_against_speed(document: Document) -> "Canvas | None":
    """A panel for every batch size, one above the other, so that the names of the front are legible."""
    rows = [row for row in document.get("rows", ()) if row["psnr_db"] is not None]
    if not rows:
        return None
    markers = {"fp32": "o", "tf32": "p", "bf16": "s", "fp16": "D", "int8": "^"}
    batches = _batches(rows)
    title = "Fidelity against speed: further up and to the right is better"
    figure = _new(WIDTH, 0.9 + 3.3 * len(batches), title)
    for axes, batch in zip(figure.subplots(len(batches), 1, squeeze=False)[:, 0], batches, strict=True):
        those = [row for row in rows if row["batch"] == batch]
        _tidy(axes, "both")
        axes.set_title(f"batch {batch}", loc="left", fontsize=10)
        for row in those:
            _fidelity_point(axes, row, markers.get(row["precision"], "v"))
        _draw_front(axes, pareto_front(those))
        axes.set_xlabel(f"PSNR to the reference, dB ({PSNR_LIMIT_DB:g}: identical)")
        axes.set_ylabel("images/s")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set_ylim(0, 1.18 * max(row["high"] for row in those))
        least = min(row["psnr_db"] for row in those)
        axes.set_xlim(least - 0.05 * (PSNR_LIMIT_DB + 1 - least) - 1, PSNR_LIMIT_DB + 2)
    precisions = sorted({row["precision"] for row in rows})
    shapes = [_mark(name, marker=markers.get(name, "v"), markersize=7) for name in precisions]
    plan = _patch("filled: ganport's plans", facecolor=PLAN)
    peer = _patch("hollow: peers", facecolor=PAPER, edgecolor=PEER)
    wrong = _patch("hollow, named WRONG: wrong images", facecolor=PAPER, edgecolor=WRONG, linestyle=":")
    front = _mark("Pareto front", linewidth=1, linestyle=":")
    wrongs = [] if all(row["correct"] for row in rows) else [wrong]
    _legend(figure, [*shapes, plan, peer, *wrongs, front], columns=5)
    return figure


def _fidelity_point(axes: "Axes", row: Row, marker: str) -> None:
    color, place = _color(row), (row["psnr_db"], row["images_per_second"])
    inside = color if _is_plan(row) and row["correct"] else PAPER
    axes.vlines(row["psnr_db"], row["low"], row["high"], color=color, linewidth=1)
    axes.plot(*place, marker, markersize=7, color=color, markerfacecolor=inside, alpha=0.9)
    if not row["correct"]:
        _say(axes, f"WRONG {shortened(row['system'], 40)}", place, (6, 5), fontsize=7, color=WRONG)


def _draw_front(axes: "Axes", front: Sequence[Row]) -> None:
    speeds, decibels = [row["images_per_second"] for row in front], [row["psnr_db"] for row in front]
    if front:
        axes.step([0.0, *decibels], [speeds[0], *speeds], where="pre", color=INK, linewidth=1, linestyle=":", zorder=1)
    for index, row in enumerate(front):
        axes.annotate(
            f"{shortened(row['system'], 46)}\n{number(speeds[index])} images/s, {number(decibels[index])} dB",
            (decibels[index], speeds[index]),
            (1.03, 1 - (index + 0.5) / max(7, len(front))),
            textcoords="axes fraction",
            va="center",
            fontsize=7.5,
            fontweight="bold" if _is_plan(row) else "normal",
            arrowprops={"arrowstyle": "-", "color": MUTED, "linewidth": 0.7, "shrinkB": 4, "relpos": (0, 0.5)},
        )


def time_by_node(document: Document) -> "Canvas | None":
    """A panel for every plan and batch size: its longest nodes, and the least that each could take."""
    profiles = [profile for profile in document.get("nodes", ()) if profile["nodes"]]
    if not profiles:
        return None
    shown = [_longest(profile["nodes"]) for profile in profiles]
    heights = [0.24 * len(nodes) + 1.0 for nodes in shown]
    figure = _new(11, sum(heights) + 0.6, "Time by node, and the least it could take on this machine")
    grid = figure.subplots(len(profiles), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, profile, nodes in zip(grid, profiles, shown, strict=True):
        _draw_nodes(axes, nodes)
        total = number(sum(node["milliseconds"] for node in profile["nodes"]))
        name = f"{profile['plan']}, {profile['precision']}, batch {profile['batch']}: {total} ms in all"
        axes.set_title(shortened(name, 110), loc="left", fontsize=10)
    several = _patch("several nodes together", facecolor=MUTED)
    floor = _mark("floor", marker="|", markersize=10, markeredgewidth=2)
    _legend(figure, [*_kinds("multiplies matrices", "does not"), several, floor])
    return figure


def _longest(nodes: Sequence[Row], most: int = 14) -> list[Row]:
    ordered = sorted(nodes, key=lambda node: -node["milliseconds"])
    if not (rest := ordered[most:]):
        return ordered
    other = {key: sum(node[key] for node in rest) for key in ("milliseconds", "share")}
    return [*ordered[:most], {**other, "name": f"{len(rest)} others", "executed_as": ""}]


def _draw_nodes(axes: "Axes", nodes: Sequence[Row]) -> None:
    _tidy(axes, "x")
    most = max(node["milliseconds"] for node in nodes)
    for place, node in enumerate(nodes):
        spent, floor, kind = node["milliseconds"], node.get("floor_milliseconds"), node["executed_as"]
        style = _bar_style(is_plan=bool(node["multiply_adds"])) if kind else {"facecolor": MUTED}
        axes.barh(place, spent, 0.72, **style)
        if floor:
            axes.plot([floor, floor], [place - 0.45, place + 0.45], color=INK, linewidth=2)
        text = f"{number(spent)} ms, {node['share']:.0%}  {shortened(kind, 40)}"
        axes.text(max(spent, floor or 0) + 0.01 * most, place, text, va="center", fontsize=7.5)
    _name_lines(axes, [node["name"] for node in nodes], [False] * len(nodes))
    axes.set_xlim(0, 1.45 * most)
    axes.set_xlabel("ms of a call")


def start_to_first_image(document: Document) -> "Canvas | None":
    """A bar for every way to open the bundle, made of the medians of its steps."""
    start = document.get("start", {})
    found = {(one["system"], one["what"]): one for one in start.get("quantities", ()) if one["part"] == "start"}
    ways = [way for way in start.get("ways", ()) if (way["name"], TO_FIRST_IMAGE) in found]
    if not ways:
        return None
    figure = _new(11, 1.7 + 0.42 * len(ways), "From a fresh process to the first image: shorter is better")
    axes = figure.subplots()
    _tidy(axes, "x")
    for place, way in enumerate(ways):
        left = 0.0
        for step, color, hatch in zip(STEPS, SERIES, ("", "\\\\\\", "///", "", "xx"), strict=False):
            length = found[way["name"], step]["value"] if (way["name"], step) in found else 0.0
            style: dict[str, Any] = {"color": color, "hatch": hatch, "edgecolor": PAPER, "linewidth": 0.6}
            axes.barh(place, length, 0.62, left=left, label=step if place == 0 else None, **style)
            left += length
        whole = found[way["name"], TO_FIRST_IMAGE]  # its median is its own, not the sum of the steps'
        axes.plot([whole["low"], whole["high"]], [place, place], "|-", color=INK, linewidth=1.3, markersize=6)
        _say(axes, f"{number(whole['value'])} ms", (max(left, whole["high"]), place), (6, 0), va="center")
    _name_lines(axes, [way["name"] for way in ways], [way["kind"] == "ganport" for way in ways], 9)
    axes.set_xlim(0, 1.12 * axes.get_xlim()[1])
    axes.set_xlabel("ms since the process was started, medians")
    _legend(figure)
    return figure


LATENCIES = (("p50", "o", "-"), ("p90", "s", "--"), ("p99", "D", "-."), ("p99.9", "^", ":"))


def latency_under_load(document: Document) -> "Canvas | None":
    """A panel for each kind of arrivals up to the knee, and one for clients that wait for their answers."""
    load = document.get("load", {})
    waiting, knee = load.get("concurrency", ()), load.get("knee", {})
    arrivals = dict.fromkeys(row["arrivals"] for row in load.get("rates", ()))
    if not (arrivals or waiting):
        return None
    figure = _new(WIDTH, 4.9, "A server under load: lower is better")
    grid = list(figure.subplots(1, len(arrivals) + bool(waiting), sharey=True, squeeze=False)[0])
    for axes, kind in zip(grid, arrivals, strict=False):
        rows = [row for row in load["rates"] if row["arrivals"] == kind and not row["void"]]
        _draw_rates(axes, sorted(rows, key=lambda row: row["offered_per_second"]), knee, kind)
    if waiting:
        _latency_lines(grid[-1], waiting, "answered_per_second")
        for row in waiting:
            if latency := row["latency_ms"].get("p50"):
                place = (row["answered_per_second"], latency)
                _say(grid[-1], str(row["concurrency"]), place, (5, -10), fontsize=8)
        grid[-1].set_title("clients that wait for their answers", loc="left", fontsize=10)
        grid[-1].set_xlabel("answers/s; numbers at the points: clients")
    for axes in grid:
        axes.set_yscale("log")
        _tidy(axes, "both")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        _log_ticks(axes.yaxis)
    grid[0].set_ylabel("latency, ms, logarithmic")
    lines = [
        _mark(name, color=color, marker=marker, markersize=4, linestyle=dashes)
        for (name, marker, dashes), color in zip(LATENCIES, SERIES, strict=False)
    ]
    bound = _mark("in time below this", linewidth=1, linestyle=(0, (6, 3)))
    held = _mark("knee: the highest rate held", linewidth=1.2, linestyle="-")
    between = _patch("between held and not held", facecolor=GRID, alpha=0.6)
    _legend(figure, [*lines, bound, held, between], columns=7)
    return figure


def _draw_rates(axes: "Axes", rows: Sequence[Row], knee: Mapping[str, Any], kind: str) -> None:
    """Void rates are left out: those are the load generator's doing."""
    _latency_lines(axes, rows, "offered_per_second")
    bound, found = knee.get("bound_ms"), knee.get(kind, {})
    if bound is not None:
        axes.axhline(bound, color=INK, linewidth=1, linestyle=(0, (6, 3)))
    held, failed = found.get("held_per_second"), found.get("failed_per_second")
    if held is not None:
        axes.axvline(held, color=INK, linewidth=1.2)
        axes.axvspan(held, failed or held, color=GRID, alpha=0.6, zorder=0)
    told = "no rate was held" if held is None else f"knee {number(held)}/s"
    axes.set_title(f"{kind} arrivals: {told}", loc="left", fontsize=10)
    axes.set_xlabel("requests offered/s")


def _latency_lines(axes: "Axes", rows: Sequence[Row], key: str) -> None:
    for (name, marker, dashes), color in zip(LATENCIES, SERIES, strict=False):
        points = [(row[key], row["latency_ms"][name]) for row in rows if row["latency_ms"].get(name)]
        axes.plot(*zip(*points, strict=True) if points else ((), ()), dashes, marker=marker, markersize=4, color=color)
    for row in rows:
        latencies = [value for value in row["latency_ms"].values() if value]
        if not row["correct"] and latencies:
            _say(axes, "WRONG", (row[key], max(latencies)), (0, 6), ha="center", **FAULT)


CHARTS: "Mapping[Callable[[Document], Canvas | None], str]" = {  # by what makes it: its caption
    throughput: "Images a second of every system. Bold: ganport's plans; hatched: peers; dotted: wrong images.",
    percentiles: "Milliseconds of a call. A hollow mark is of fewer calls than its percentile needs.",
    fidelity_against_speed: "Every plan and peer. Named: those that none beats in both, by 1 dB or more.",
    share_of_ceiling: "Images a second over those that this machine's arithmetic and memory would allow.",
    time_by_node: "The longest nodes of the fastest plans; the strokes are the least that each could take.",
    start_to_first_image: "Medians of fresh processes; the stroke is the 95 % interval of the whole.",
    latency_under_load: "Latency counts from when a request was due, so that a slow answer hides nothing.",
}
STYLE: dict[Any, Any] = {  # no text is a formula, text in SVG stays text, and SVG is the same whenever it is made
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "ganport",
    "hatch.linewidth": 0.6, "hatch.color": PAPER,
    "font.family": "DejaVu Sans", "font.size": 9,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": MUTED, "xtick.color": INK, "ytick.color": INK,
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """One chart as the bytes of its files."""

    name: str  # of the files, without their ending
    caption: str  # in words
    png: bytes  # in pixels
    svg: str  # in lines and text

    def for_page(self) -> str:
        """The SVG with the page's colors, light or dark, and ids that no other picture has."""
        inner = self.svg[self.svg.index("<svg") :]
        inner = re.sub(r'\bid="', f'id="{self.name}-', inner)
        inner = re.sub(r'(url\(#|href="#)', rf"\g<1>{self.name}-", inner)
        for color, variable in PAGE_COLORS.items():
            inner = re.sub(rf"(?<=: ){color}\b", f"var(--{variable})", inner)
        return inner


def draw(document: Document) -> Iterator[Picture]:
    """Every chart for which the document has the material."""
    import matplotlib as mpl

    with mpl.rc_context(STYLE):
        for make, caption in CHARTS.items():
            if (figure := make(document)) is not None:
                name = make.__name__.replace("_", "-")
                svg = _saved(figure, "svg", ("Date", "Creator", "Format", "Type")).decode()
                yield Picture(name, caption, _saved(figure, "png", ("Software",)), svg)


def _saved(figure: "Canvas", kind: str, unsaid: Sequence[str]) -> bytes:
    buffer, metadata = io.BytesIO(), dict.fromkeys(unsaid)
    figure.savefig(buffer, format=kind, dpi=120, bbox_inches="tight", pad_inches=0.1, metadata=metadata)
    return buffer.getvalue()
