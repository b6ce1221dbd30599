"""Tables and numbers as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["Document", "between", "interval", "load", "quickly", "table"]

Document = Mapping[str, Any]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a line of dashes below its head."""
    return "\n".join(map(_line, (columns, ["---"] * len(columns), *rows)))


def interval(document: Document, form: str, name: str = "value") -> str:
    """A value and its interval, each by a format specification: `1,234 (1,200 to 1,260)`, or the value alone."""
    ends = between(document, form)
    return f"{document[name]:{form}}" + (f" ({ends})" if ends else "")


def between(document: Document, form: str) -> str:
    """An interval, or empty where its ends are one, or where there is none."""
    low, high = document["low"], document["high"]
    return "" if low is None or low == high else f"{low:{form}} to {high:{form}}"


def quickly(document: Document) -> str:
    """What is to be known first of a quick run; empty of a full one."""
    return "A quick run, with few rounds. " if document["is_quick"] else ""


def load(machine: Document) -> str:
    """What else the machine did, in a sentence."""
    before, after = machine["load_average_1min"], machine["load_average_1min_after"]
    return f"Load of one minute: {before:.1f} before and {after:.1f} after."


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(' '.join(cell.replace('|', '/').split()) for cell in cells)} |"
