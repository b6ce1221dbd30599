"""What all figures share: colors that people with color blindness tell apart, axes, PNG and SVG."""

import io
import re
import textwrap
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = [
    "GRID",
    "INK",
    "MUTED",
    "PAPER",
    "PEER",
    "PEER_HATCH",
    "PLAN",
    "SERIES",
    "WRONG",
    "bar_style",
    "legend_of_kinds",
    "log_ticks",
    "new_figure",
    "png",
    "style",
    "svg",
    "themed",
    "tidy",
    "wrapped",
]

DPI = 120
PAPER, INK, GRID, MUTED = "#ffffff", "#222222", "#dddddd", "#8c8c8c"
# Okabe and Ito's; plans and peers differ by hatch or marker and by weight of their names as well.
PLAN, PEER, WRONG = "#0072b2", "#e69f00", "#d55e00"
SERIES = (PLAN, PEER, "#009e73", "#cc79a7", WRONG, "#56b4e9")
THEMED = {  # by color: the name of the page's own, which knows light and dark
    PAPER: "paper",
    INK: "ink",
    GRID: "grid",
    MUTED: "muted",
    PLAN: "plan",
    PEER: "peer",
    WRONG: "wrong",
    "#009e73": "third",
    "#cc79a7": "fourth",
    "#56b4e9": "sixth",
}
PEER_HATCH = "////"
NAME_WIDTH = 44  # characters of a name on one line


def style() -> AbstractContextManager[None]:
    """Settings under which figures are made and saved: no text is a formula, text in SVG stays text."""
    import matplotlib as mpl

    settings: dict[Any, Any] = {
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "ganport",
        "hatch.linewidth": 0.6,
        "hatch.color": PAPER,
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": MUTED,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    return mpl.rc_context(settings)


def new_figure(width: float, height: float, title: str) -> "Figure":
    """A figure of so many inches that no display and no global state of matplotlib takes part in: Agg draws it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    return figure


def tidy(axes: "Axes", *, grid: str) -> None:
    """Fine lines across one axis or `both`, behind all else, and no frame."""
    axes.set_facecolor(PAPER)
    axes.grid(axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(length=0)


def log_ticks(axis: "Axis") -> None:
    """Plain numbers instead of powers of ten; 1, 2 and 5 of each decade where there is room for them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 300 * low else (1.0,)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


def wrapped(name: str) -> str:
    """A long name on two lines, cut after them."""
    lines = textwrap.wrap(name, NAME_WIDTH, max_lines=2, placeholder=" …")
    return "\n".join(lines) or name


def legend_of_kinds(figure: "Figure", *more: Any) -> None:
    """Below all panels: plans, peers, and whatever a figure has beside them."""
    from matplotlib.patches import Patch

    kinds = (
        Patch(facecolor=PLAN, label="ganport's plans"),
        Patch(facecolor=PEER, hatch=PEER_HATCH, edgecolor=PAPER, label="peers"),
    )
    figure.legend(handles=[*kinds, *more], loc="outside lower left", ncols=6, frameon=False, fontsize=9)


def bar_style(*, is_plan: bool, is_right: bool) -> Mapping[str, Any]:
    """A plan is full, a peer hatched, and what makes wrong images an outline."""
    if not is_right:
        return {"facecolor": "none", "edgecolor": WRONG, "linestyle": ":", "linewidth": 1.2}
    if is_plan:
        return {"facecolor": PLAN}
    return {"facecolor": PEER, "hatch": PEER_HATCH, "edgecolor": PAPER, "linewidth": 0}


def png(figure: "Figure") -> bytes:
    """The picture in pixels."""
    return _saved(figure, "png", {"Software": None})


def svg(figure: "Figure") -> str:
    """The picture in lines and text, the same bytes whenever it is made."""
    return _saved(figure, "svg", {"Date": None, "Creator": None, "Format": None, "Type": None}).decode()


def _saved(figure: "Figure", kind: str, metadata: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=DPI, bbox_inches="tight", pad_inches=0.1, metadata=metadata)
    return buffer.getvalue()


def themed(picture: str, name: str) -> str:
    """An SVG to be put into a page: with the page's colors, light or dark, and ids that no other figure has."""
    inner = picture[picture.index("<svg") :]
    inner = re.sub(r'\bid="', f'id="{name}-', inner)
    inner = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", inner)
    for color, variable in THEMED.items():
        inner = re.sub(rf"(?<=: ){color}\b", f"var(--{variable})", inner)
    return inner
