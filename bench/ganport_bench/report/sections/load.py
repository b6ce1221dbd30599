"""A server under load: the knee, requests at times of their own, clients that wait."""

from collections.abc import Iterator, Mapping
from typing import Any

from ganport_bench.report.html import Html, details, paragraph, table, tag
from ganport_bench.report.rows import Document
from ganport_bench.report.text import list_of, number, per_cent

__all__ = ["load"]

PERCENTILES = ("p50", "p90", "p99", "p99.9")
ANSWERS = ("answers/s", *(f"{name} ms" for name in PERCENTILES))
SERVER = ("queue ms", "compute ms")
MILLI = 1e-3  # of a microsecond


def load(document: Document) -> Iterator[Html]:
    """What was loaded, the knee, both tables."""
    found = document["load"]
    yield paragraph(f"{found['target']} ({found['system']}): {list_of(found.get('facts', {}))}")
    yield tag("ul", *_knees(found["knee"]))
    yield tag("p", f"The knee: {found['knee']['definition']}.", class_="quiet")
    yield tag("p", f"{found['judged']}.", class_="quiet")
    if found.get("no_statistics"):
        yield paragraph(f"Without the server's own times: {found['no_statistics']}.")
    rates, waiting = found["rates"], found["concurrency"]
    columns = ("arrivals", "offered/s", "of capacity", *ANSWERS, *SERVER, "in time", "held", "refused", "note")
    yield details(f"Requests at times of their own: {len(rates)} rates", table(columns, map(_rate, rates)))
    columns = ("clients", *ANSWERS, *SERVER, "stable", "checked", "note")
    yield details(f"Clients that wait: {len(waiting)} numbers of them", table(columns, map(_clients, waiting)))


def _knees(knee: Mapping[str, Any]) -> Iterator[Html]:
    for arrivals, one in knee.items():
        if isinstance(one, Mapping):
            held, failed = one.get("held_per_second"), one.get("failed_per_second")
            told = "none was held" if held is None else f"{number(held)} requests/s held"
            above = "" if failed is None else f", {number(failed)} not"
            note = f"; {one['note']}" if one.get("note") else ""
            yield tag("li", tag("b", f"{arrivals} arrivals: {told}"), f"{above}{note}")


def _rate(row: Mapping[str, Any]) -> tuple[str, ...]:
    held = "void" if row["void"] else "yes" if row["held"] else "no"
    return (
        row["arrivals"],
        number(row["offered_per_second"]),
        per_cent(row["share_of_capacity"]),
        *_answers(row),
        f"{row['in_time']:.1%}",
        held,
        f"{row['refused']:,}",
        _note(row),
    )


def _clients(row: Mapping[str, Any]) -> tuple[str, ...]:
    stable = "yes" if row["is_stable"] else "UNSTABLE"
    return str(row["concurrency"]), *_answers(row), stable, f"{row['checked']:,}", _note(row)


def _answers(row: Mapping[str, Any]) -> tuple[str, ...]:
    latency, server = row["latency_ms"], row.get("server_us") or {}
    compute = [value for name, value in server.items() if name != "queue"]
    return (
        number(row["answered_per_second"]),
        *(number(latency.get(name)) for name in PERCENTILES),
        number(MILLI * server["queue"]) if "queue" in server else "",
        number(MILLI * sum(compute)) if compute else "",
    )


def _note(row: Mapping[str, Any]) -> str:
    note = str(row.get("note", ""))
    return note if row["correct"] else tag("span", f"WRONG: {note}", class_="wrong")
