"""Builds HTML in which every text is escaped unless it was built here."""

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape

__all__ = ["Html", "details", "joined", "paragraph", "reasons", "table", "tag"]

NUMBER = re.compile(r"[-+~]?[\d.,]+")


class Html(str):
    """HTML that is right already. Adding to it or formatting it gives a plain string, which is escaped again."""

    __slots__ = ()


def joined(children: Iterable[str]) -> Html:
    """Children one after the other; those that are no `Html` are text."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children))


def tag(name: str, *children: str, **attributes: str) -> Html:
    """An element with attributes and children; an attribute may end in `_` where Python has a word of that name."""
    given = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{given}>{joined(children)}</{name}>")


def paragraph(*children: str) -> Html:
    """A paragraph."""
    return tag("p", *children)


def details(summary: str, *children: str) -> Html:
    """What opens when its summary is chosen."""
    return tag("details", tag("summary", summary), *children)


def reasons(whys: Mapping[str, str]) -> Html:
    """What is said of some names, one line a reason, in the order of the first of each."""
    names: dict[str, list[str]] = {}
    for name, why in whys.items():
        names.setdefault(why, []).append(name)
    return tag("ul", *(tag("li", tag("b", ", ".join(those)), f": {why}") for why, those in names.items()))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], classes: Mapping[int, str] | None = None) -> Html:
    """A table that scrolls by itself where it is wider than the page; cells that begin with a number do not wrap.

    Args:
        columns: heads.
        rows: cells, the first of which names its row.
        classes: of some rows, by index.
    """
    head = tag("thead", tag("tr", *(tag("th", column, scope="col") for column in columns)))
    body = tag("tbody", *(_row(cells, (classes or {}).get(index, "")) for index, cells in enumerate(rows)))
    return tag("div", tag("table", head, body), class_="wide")


def _row(cells: Sequence[str], kind: str) -> Html:
    first, *others = cells
    return tag("tr", tag("th", first, scope="row"), *map(_cell, others), **({"class_": kind} if kind else {}))


def _cell(text: str) -> Html:
    is_number = not isinstance(text, Html) and NUMBER.match(text)
    return tag("td", text, **({"class_": "number"} if is_number else {}))
