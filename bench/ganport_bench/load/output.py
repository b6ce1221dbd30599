"""A load as tables, made from the document, and as CSV.

The CSV is what perf_analyzer writes with `-f`, so that programs that read its files read these. There is one file for
clients that wait and one for each kind of arrivals, because perf_analyzer's first column is either `Concurrency` or
`Request Rate`. Rows are sorted by throughput; times are whole microseconds. Percentiles are of all answers, however
few, as perf_analyzer's are. At a request rate they count from when a request was due, where perf_analyzer counts from
when it was sent. The columns from `Client Send` to `Client Recv` are means over a whole load and add up to its mean
latency; the five that need the server's statistics are empty without them.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ganport_runtime.atomic import write_bytes

from ganport_bench.errors import BenchError
from ganport_bench.load.measure import LoadFindings
from ganport_bench.load.servers import STAGES, ServerTimes
from ganport_bench.load.sweep import Answers
from ganport_bench.tables import Table, listed, number, percent
from ganport_bench.timing import least_samples

SHOWN = ("p50", "p90", "p99", "p99.9")
ANSWERS = ("answers/s", *(f"{name} ms" for name in SHOWN), "queue ms", "compute ms")
MILLI, MICRO = 1e-3, 1e6
COMPUTE = tuple(f"Server Compute {part}" for part in ("Input", "Infer", "Output"))
SERVER = ("Network+Server Send/Recv", "Server Queue", *COMPUTE)
PERCENTILES = {50.0: "p50 latency", 90.0: "p90 latency", 95.0: "p95 latency", 99.0: "p99 latency"}
COLUMNS = ("Inferences/Second", "Client Send", *SERVER, "Client Recv", *PERCENTILES.values())  # after the first one

Row = Mapping[str, Any]
CsvRow = tuple[float, Answers, ServerTimes | None]


def tables(document: Mapping[str, Any]) -> list[Table]:
    """Clients that wait, rates, and what the knee is."""
    load = document["load"]
    waiting = ("clients", *ANSWERS, "windows", "checked", "note")
    bound = f"within {load['knee']['bound_ms']:.1f} ms"
    late = "sent late p50 / p99 / max ms"
    rates = ("arrivals", "offered/s", "of capacity", *ANSWERS, bound, "held", "refused", late, "note")
    due = f"{load['target']}: requests at given rates, latency from when each was due"
    return [
        Table(f"{load['target']}: clients that wait for their answers", waiting, [*map(_client, load["concurrency"])]),
        Table(due, rates, [*map(_rate, load["rates"])]),
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
        *(number(latency.get(name)) for name in SHOWN),
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
    needs = ", ".join(f"{name} {least_samples(float(name[1:])):,}" for name in SHOWN)
    yield f"{load['judged']}; answers that a percentile needs to be shown: {needs}."
    if load.get("no_statistics"):
        yield f"Without the server's own times: {load['no_statistics']}."


def _knee(knee: Row) -> str:
    held, failed = knee["held_per_second"], knee["failed_per_second"]
    text = "none held" if held is None else f"{number(held)}/s held"
    return (
        text + ("" if failed is None else f", {number(failed)}/s not") + (f"; {knee['note']}" if knee["note"] else "")
    )


def write_csv(load: LoadFindings, path: Path) -> list[Path]:
    """Write the clients that wait to `path`, and rates beside it to `STEM-request-rate-ARRIVALS.csv`.

    Void rates are left out: their latencies are the load generator's. Raises BenchError if a file cannot be written.
    """
    waiting: list[CsvRow] = [(row.concurrency, row.answers, row.server) for row in load.concurrency]
    texts = {path: _text("Concurrency", waiting)}
    for arrivals in load.knees:
        rows: list[CsvRow] = [
            (row.offered, row.answers, row.server) for row in load.rates if row.arrivals == arrivals and not row.void
        ]
        beside = path.with_name(f"{path.stem}-request-rate-{arrivals}{path.suffix}")
        texts[beside] = _text("Request Rate", rows)
    for file, text in texts.items():
        try:
            write_bytes(file, text.encode())
        except OSError as error:
            raise BenchError(f"{file} cannot be written ({error.strerror or error}); name another place") from None
    return list(texts)


def _text(first: str, rows: Sequence[CsvRow]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((first, *COLUMNS))
    writer.writerows(_cells(*row) for row in sorted(rows, key=lambda row: row[1].per_second))
    return text.getvalue()


def _cells(load: float, answers: Answers, server: ServerTimes | None) -> tuple[str, ...]:
    percentiles = [answers.latency.percentiles.get(percent) for percent in PERCENTILES]
    return (
        f"{load:g}",
        f"{answers.per_second:g}",
        _micro(answers.send),
        *_of_server(answers, server),
        _micro(answers.receive),
        *("" if seconds is None else _micro(seconds) for seconds in percentiles),
    )


def _of_server(answers: Answers, server: ServerTimes | None) -> tuple[str, ...]:
    if server is None:
        return ("",) * len(SERVER)
    network = answers.mean - answers.send - answers.receive - sum(server.values())
    return tuple(map(_micro, (max(0.0, network), *(server[stage] for stage in STAGES))))


def _micro(seconds: float) -> str:
    return str(int(MICRO * seconds))
