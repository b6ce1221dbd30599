"""What people read of the whole: the tables of every part, and what was skipped."""

from collections.abc import Iterator
from importlib import import_module

from rich.console import RenderableType

from ganport_bench.tables import to_terminal
from ganport_bench.whole.document import Whole, to_json

__all__ = ["remarks", "tables"]

PARTS = {"nodes": "nodes", "start": "start", "scenarios": "scenarios", "load": "load", "speed": "rows"}  # and a key


def tables(whole: Whole) -> Iterator[RenderableType]:
    """Part by part; speed comes last, where the eye ends up."""
    document = to_json(whole)
    for part, key in PARTS.items():
        if key in document:
            shown = import_module(f"ganport_bench.{part}").tables(document)
            yield from (to_terminal(table) for table in shown if not table.is_long)


def remarks(whole: Whole) -> list[str]:
    """What is to be known beside the tables, a line each."""
    lines = [f"skipped: {part}: {why}" for part, why in whole.skipped.items()]
    if not whole.model["is_trained"]:
        lines.append("These weights are hardly trained, so speeds hold and PSNR figures mean little.")
    if whole.is_quick:
        lines.append("Quick: few rounds.")
    took = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in whole.took_seconds.items())
    return [*lines, f"It took: {took}"]
