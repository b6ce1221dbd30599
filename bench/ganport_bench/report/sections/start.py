"""What starting takes: a table for every part of it, and what could not be measured."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ganport_bench.report.html import Html, details, reasons, table, tag
from ganport_bench.report.rows import Document
from ganport_bench.report.text import between, mebibytes, number

__all__ = ["start"]

COLUMNS = ("system", "what", "batch", "median", "95 % interval", "of", "note")
UNITS: Mapping[str, tuple[Callable[[float], str], str]] = {
    "ms": (number, " ms"),
    "bytes": (mebibytes, " MiB"),
    "x": (number, "x"),
}


def start(document: Document) -> Iterator[Html]:
    """Everything in the order in which it was written."""
    found = document["start"]
    if found.get("conditions"):
        yield tag("p", f"{'; '.join(found['conditions'])}.", class_="quiet")
    yield table(("way", "runs"), [(way["name"], "; ".join(way["runs"])) for way in found.get("ways", ())])
    parts: dict[str, list[Mapping[str, Any]]] = {}
    for quantity in found["quantities"]:
        parts.setdefault(quantity["part"], []).append(quantity)
    for part, quantities in parts.items():
        yield details(f"{part}: {len(quantities)} figures", table(COLUMNS, map(_cells, quantities)))
    if found.get("missing"):
        yield tag("h3", "Not measured")
        yield reasons(found["missing"])


def _cells(quantity: Mapping[str, Any]) -> tuple[str, ...]:
    show, unit = UNITS.get(quantity["unit"], (number, f" {quantity['unit']}"))
    low, high = quantity["low"], quantity["high"]
    interval = between(low, high) if show is number else "" if low == high else f"{show(low)} to {show(high)}"
    return (
        quantity["system"],
        quantity["what"],
        "" if quantity.get("batch") is None else str(quantity["batch"]),
        f"{show(quantity['value'])}{unit}",
        interval,
        str(quantity["repetitions"]),
        quantity.get("note", ""),
    )
