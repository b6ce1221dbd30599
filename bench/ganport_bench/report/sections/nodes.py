"""Where the time of the fastest plans goes, in full."""

from collections.abc import Iterator, Mapping
from typing import Any

from ganport_bench.report.html import Html, details, paragraph, table
from ganport_bench.report.rows import Document
from ganport_bench.report.text import number, per_cent

__all__ = ["nodes"]

COLUMNS = ("node", "executed as", "in", "ms", "share", "floor ms", "floor / time", "million multiply-adds", "MB")
MEGA = 1e6


def nodes(document: Document) -> Iterator[Html]:
    """A table for every plan and batch size, the longest node first."""
    for profile in document["nodes"]:
        ordered = sorted(profile["nodes"], key=lambda node: -node["milliseconds"])
        title = f"{profile['plan']}, {profile['precision']}, batch {profile['batch']}: {len(ordered)} nodes"
        yield paragraph(_summary(profile))
        yield details(title, table(COLUMNS, map(_cells, ordered)))


def _summary(profile: Mapping[str, Any]) -> str:
    """Where the time goes, in a line."""
    found, name = profile.get("summary"), f"{profile['plan']}, batch {profile['batch']}"
    if not found:
        return f"{name}."
    unfound = profile.get("unfound_multiply_adds")
    return (
        f"{name}: {found['products_floor']:.0%} of the time is what nodes that multiply matrices need at least, "
        f"{found['products_above_floor']:.0%} what they take beyond it, {found['without_products']:.0%} goes to all "
        f"other nodes; without counters a call took {number(profile['call_milliseconds'])} ms."
        + (f" {unfound:,} multiply-adds were in no node by its name." if unfound else "")
        + (f" {profile['note']}." if profile.get("note") else "")
    )


def _cells(node: Mapping[str, Any]) -> tuple[str, ...]:
    spent, floor, moved = node["milliseconds"], node.get("floor_milliseconds"), node.get("bytes")
    return (
        node["name"],
        node["executed_as"],
        node.get("precision", ""),
        number(spent),
        f"{node['share']:.1%}",
        number(floor),
        per_cent(floor / spent) if floor and spent else "",
        number(node["multiply_adds"] / MEGA) if node["multiply_adds"] else "",
        number(moved / MEGA) if moved else "",
    )
