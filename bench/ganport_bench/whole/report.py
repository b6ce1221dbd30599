"""What people read of the whole: the tables of every part, and what was skipped."""

from collections.abc import Iterator
from importlib import import_module

from rich.console import RenderableType

from ganport_bench.tables import to_terminal
from ganport_bench.whole.document import Whole

__all__ = ["remarks", "tables"]

# Whose `tables` show a part; speed comes last, where the eye ends up. Imported only where the part was run.
MODULES = {
    "start": "ganport_bench.start",
    "scenarios": "ganport_bench.scenarios",
    "load": "ganport_bench.load",
    "speed": "ganport_bench.speed.report",
}


def tables(whole: Whole) -> Iterator[RenderableType]:
    """Part by part."""
    if whole.found.nodes and whole.found.speed:
        from ganport_bench.nodes import table

        yield from (table(profile, whole.found.speed.peaks) for profile in whole.found.nodes)
    for part, module in MODULES.items():
        found = getattr(whole.found, part)
        if found is not None and part == "load":
            yield from map(to_terminal, import_module(module).tables({part: found.to_json()}))
        elif found is not None:
            yield from import_module(module).tables(found)


def remarks(whole: Whole) -> list[str]:
    """What is to be known beside the tables, a line each."""
    lines = [f"skipped: {part}: {why}" for part, why in whole.skipped.items()]
    if not whole.model["is_trained"]:
        lines.append("These weights are hardly trained, so speeds hold and PSNR figures mean little.")
    if whole.is_quick:
        lines.append("Quick: few rounds.")
    took = ", ".join(f"{part} {seconds:.0f} s" for part, seconds in whole.took_seconds.items())
    return [*lines, f"It took: {took}"]
