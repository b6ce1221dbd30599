"""Everyone's speed: a table for every batch size, and who was not measured."""

from collections.abc import Iterator, Mapping

from ganport_bench.report.html import Html, details, joined, paragraph, reasons, table, tag
from ganport_bench.report.rows import Document, Row, batches_of, rows_of
from ganport_bench.report.text import between, list_of, number, per_cent

__all__ = ["speed"]

COLUMNS = (
    "system",
    "computes in",
    "images/s",
    "95 % interval",
    "rounds",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "p99.9 ms",
    "PSNR dB (worst)",
    "of ceiling",
    "setting",
)


def speed(document: Document) -> Iterator[Html]:
    """A table for every batch size, the fastest first; plans in bold."""
    rows = rows_of(document)
    reference = document["model"].get("reference")
    if reference:
        yield paragraph(f"Images are compared with {reference}.")
    yield from (paragraph(text) for text in _transfers(rows))
    for batch in batches_of(rows):
        those = sorted((row for row in rows if row.batch == batch), key=lambda row: -row.rate.value)
        classes = {index: "plan" for index, row in enumerate(those) if row.is_plan}
        notes = reasons({row.system: row.note for row in those if row.note})
        yield details(f"Batch {batch}: all {len(those)} systems", table(COLUMNS, map(_cells, those), classes), notes)
    missing = _missing(document.get("missing", {}))
    if missing:
        yield tag("h3", "Not measured")
        yield reasons(missing)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.system,
        row.precision,
        number(row.rate.value),
        between(row.rate.low, row.rate.high) + (" wide" if row.is_wide else ""),
        number(row.rounds) if row.rounds is not None else "",
        *(number(row.latency_ms.get(name)) for name in ("p50", "p90", "p99", "p99.9")),
        _fidelity(row),
        per_cent(row.share),
        list_of(row.settings),
    )


def _fidelity(row: Row) -> str:
    worst = "" if row.worst_db is None else f" ({number(row.worst_db)})"
    text = number(row.psnr_db) + worst
    return text if row.is_right else joined((tag("span", "WRONG ", class_="wrong"), text))


def _transfers(rows: list[Row]) -> Iterator[str]:
    """What of copies is timed; whose, where not everyone's is the same."""
    systems: dict[str, dict[str, None]] = {}
    for row in rows:
        systems.setdefault(row.transfers, {})[row.system] = None
    for transfers, names in systems.items():
        if transfers:
            whose = "" if len(systems) == 1 else f" ({', '.join(names)})"
            yield f"Transfers: {transfers}{whose}."


def _missing(missing: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Why, by name; with the batch sizes where it is not the same at all of them."""
    found: dict[tuple[str, str], list[str]] = {}
    for batch, whys in missing.items():
        for system, why in whys.items():
            found.setdefault((system, why), []).append(batch)
    return {
        system if len(batches) == len(missing) else f"{system} (batch {', '.join(batches)})": why
        for (system, why), batches in found.items()
    }
