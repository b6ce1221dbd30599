"""CSV as perf_analyzer writes it with `-f`, so that what reads its files reads these.

One file for the clients that wait, and one for each kind of arrivals, since perf_analyzer's first column is one of
`Concurrency` and `Request Rate`. Rows are sorted by throughput; times are whole microseconds. Percentiles are those of
all answers, however few, as perf_analyzer's are; at a request rate they count from when a request was due, where
perf_analyzer counts from when it was sent. The columns from `Client Send` to `Client Recv` are means over a whole load
and add up to its mean latency; the five that rest on the server's statistics are empty where it has none.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from ganport_bench.errors import BenchError
from ganport_bench.load.answers import Answers
from ganport_bench.load.measure import Load
from ganport_bench.load.statistics import ServerTimes

__all__ = ["COLUMNS", "write_csv"]

SERVER = (
    "Network+Server Send/Recv",
    "Server Queue",
    "Server Compute Input",
    "Server Compute Infer",
    "Server Compute Output",
)
PERCENTILES = {50.0: "p50 latency", 90.0: "p90 latency", 95.0: "p95 latency", 99.0: "p99 latency"}
COLUMNS = ("Inferences/Second", "Client Send", *SERVER, "Client Recv", *PERCENTILES.values())  # after the first one
MICRO = 1e6

Row = tuple[float, Answers, ServerTimes | None]


def write_csv(load: Load, path: Path) -> list[Path]:
    """Write the clients that wait to `path`, and rates beside it to `STEM-request-rate-ARRIVALS.csv`.

    Void rates are left out: their latencies are the load generator's.

    Returns:
        The files.

    Raises:
        BenchError: a file cannot be written.
    """
    waiting: list[Row] = [(row.concurrency, row.answers, row.server) for row in load.concurrency]
    texts = {path: _text("Concurrency", waiting)}
    for arrivals in load.knees:
        rows: list[Row] = [
            (row.offered, row.answers, row.server) for row in load.rates if row.arrivals == arrivals and not row.void
        ]
        beside = path.with_name(f"{path.stem}-request-rate-{arrivals}{path.suffix}")
        texts[beside] = _text("Request Rate", rows)
    _write(texts)
    return list(texts)


def _write(texts: Mapping[Path, str]) -> None:
    for path, text in texts.items():
        aside = path.with_name(f".{path.name}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_text(text, "utf-8")
            aside.replace(path)
        except OSError as error:
            raise BenchError(f"{path} cannot be written ({error.strerror or error}); name another place") from None


def _text(first: str, rows: Sequence[Row]) -> str:
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
    network = answers.mean - answers.send - answers.receive - server.total
    times = (max(0.0, network), server.queue, server.compute_input, server.compute_infer, server.compute_output)
    return tuple(map(_micro, times))


def _micro(seconds: float) -> str:
    return str(int(MICRO * seconds))
