"""What people read of a comparison: what got worse first, then what got better, and how much stayed the same."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ganport_bench.regression.compare import Regression
from ganport_bench.regression.judgement import Change

__all__ = ["tables"]

ORDER = ("worse", "better", "not judged")


def tables(found: Regression) -> list[RenderableType]:
    """The changes, the remarks, and one line that says it all."""
    shown = sorted((one for one in found.changes if one.verdict in ORDER), key=lambda one: ORDER.index(one.verdict))
    parts: list[RenderableType] = [_table(shown)] if shown else []
    return [*parts, *(Text(line) for line in (*found.remarks, _sum(found)))]


def _table(changes: Sequence[Change]) -> Table:
    table = Table(title="What changed", title_justify="left")
    for column in ("verdict", "what", "old", "new", "new/old", "why"):
        table.add_column(column)
    for one in changes:
        table.add_row(*map(Text, (one.verdict, one.what, _number(one.old), _number(one.new), _ratio(one), one.why)))
    return table


def _ratio(change: Change) -> str:
    if change.ratio is None:
        return ""
    low, high = change.ratio_low, change.ratio_high
    return f"{change.ratio:.3f}" + ("" if low is None or high is None else f" ({low:.3f} to {high:.3f})")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def _sum(found: Regression) -> str:
    counts = {verdict: sum(one.verdict == verdict for one in found.changes) for verdict in ("worse", "better", "same")}
    words = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return f"{words}: {'a regression' if found.is_regression else 'no regression'}"
