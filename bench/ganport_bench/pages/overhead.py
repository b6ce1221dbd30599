"""The section on what ganport costs over the bare tools."""

from collections.abc import Iterator

from ganport_bench.pages.markdown import Document, between, table

__all__ = ["sections"]


def sections(overhead: Document) -> Iterator[tuple[str, str]]:
    """By name, from the document of `python -m ganport_bench.overhead --json`."""
    yield "overhead", table(("what", "measured", "interval", "at most"), [_figure(one) for one in overhead["figures"]])


def _figure(one: Document) -> tuple[str, ...]:
    estimate, unit = one["estimate"], one["unit"]
    missed = "" if one["is_reached"] else " **missed**"
    return (
        one["title"],
        f"{estimate['value']:.2f} {unit}{missed}",
        between(estimate, ".2f"),
        f"{one['target']:g} {unit}",
    )
