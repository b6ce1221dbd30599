"""The tables of a server under load, made from the document: the knee, clients that wait, rates."""

from collections.abc import Iterator, Mapping
from typing import Any

from ganport_bench.tables import Table, listed, number, percent
from ganport_bench.timing import least_samples

PERCENTILES = ("p50", "p90", "p99", "p99.9")
ANSWERS = ("answers/s", *(f"{name} ms" for name in PERCENTILES), "queue ms", "compute ms")
MILLI = 1e-3  # of a microsecond

Row = Mapping[str, Any]


def tables(document: Mapping[str, Any]) -> list[Table]:
    """Clients that wait, rates, and what the knee is."""
    load = document["load"]
    waiting = ("clients", *ANSWERS, "windows", "checked", "note")
    bound = f"within {load['knee']['bound_ms']:.1f} ms"
    rates = ("arrivals", "offered/s", "of capacity", *ANSWERS, bound, "held", "refused", "sent late p50 / p99 / max ms")
    return [
        Table(f"{load['target']}: clients that wait for their answers", waiting, [*map(_client, load["concurrency"])]),
        Table(
            f"{load['target']}: requests at given rates, latency from when each was due",
            (*rates, "note"),
            [*map(_rate, load["rates"])],
        ),
        Table("The knee", note="\n".join(_lines(load))),
    ]


def _client(row: Row) -> tuple[str, ...]:
    windows = f"{len(row['windows'])}" + ("" if row["is_stable"] else " UNSTABLE")
    return str(row["concurrency"]), *_answers(row), windows, f"{row['checked']:,}", _note(row)


def _rate(row: Row) -> tuple[str, ...]:
    return (
        row["arrivals"],
        number(row["offered_per_second"]),
        percent(row["share_of_capacity"]),
        *_answers(row),
        f"{row['in_time']:.1%}",
        "void" if row["void"] else "yes" if row["held"] else "no",
        f"{row['refused']:,}" if row["refused"] else "",
        " / ".join(f"{row['late_ms'][name]:.1f}" for name in ("p50", "p99", "max")),
        _note(row),
    )


def _answers(row: Row) -> tuple[str, ...]:
    latency, server = row["latency_ms"], row.get("server_us") or {}
    compute = [value for name, value in server.items() if name != "queue"]
    return (
        number(row["answered_per_second"]),
        *(number(latency.get(name)) for name in PERCENTILES),
        number(MILLI * server["queue"]) if server else "",
        number(MILLI * sum(compute)) if server else "",
    )


def _note(row: Row) -> str:
    return str(row["note"]) if row["correct"] else f"WRONG: {row['note']}"


def _lines(load: Row) -> Iterator[str]:
    for arrivals, knee in load["knee"].items():
        if isinstance(knee, Mapping):
            yield f"{arrivals} arrivals: {_knee(knee)}"
    yield f"The knee is {load['knee']['definition']}."
    if not load["concurrency"][0]["is_stable"]:
        yield "The median latency of a single client is unstable."
    facts = listed(load.get("facts", {}))
    yield f"{load['system']}: {facts}" if facts else load["system"]
    needs = ", ".join(f"{name} {least_samples(float(name[1:])):,}" for name in PERCENTILES)
    yield f"{load['judged']}; answers that a percentile needs to be shown: {needs}."
    if load.get("no_statistics"):
        yield f"Without the server's own times: {load['no_statistics']}."


def _knee(knee: Row) -> str:
    held, failed = knee["held_per_second"], knee["failed_per_second"]
    text = "none held" if held is None else f"{number(held)}/s held"
    return (
        text + ("" if failed is None else f", {number(failed)}/s not") + (f"; {knee['note']}" if knee["note"] else "")
    )
