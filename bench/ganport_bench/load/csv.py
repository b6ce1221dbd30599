"""CSV as perf_analyzer writes it with `-f`, so that programs that read its files read these.

There is one file for clients that wait and one for each kind of arrivals, because perf_analyzer's first column is
either `Concurrency` or `Request Rate`. Rows are sorted by throughput; times are whole microseconds. Percentiles are of
all answers, however few, as perf_analyzer's are. At a request rate they count from when a request was due, where
perf_analyzer counts from when it was sent. The columns from `Client Send` to `Client Recv` are means over a whole load
and add up to its mean latency; the five that need the server's statistics are empty without them.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ganport_runtime.atomic import write_bytes

from ganport_bench.errors import BenchError
from ganport_bench.load.measure import LoadFindings
from ganport_bench.load.statistics import ServerTimes
from ganport_bench.load.sweep import Answers

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

CsvRow = tuple[float, Answers, ServerTimes | None]


def write_csv(load: LoadFindings, path: Path) -> list[Path]:
    """Write the clients that wait to `path`, and rates beside it to `STEM-request-rate-ARRIVALS.csv`.

    Void rates are left out: their latencies are the load generator's.

    Returns:
        The files.

    Raises:
        BenchError: a file cannot be written.
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
    network = answers.mean - answers.send - answers.receive - server.total
    times = (max(0.0, network), server.queue, server.compute_input, server.compute_infer, server.compute_output)
    return tuple(map(_micro, times))


def _micro(seconds: float) -> str:
    return str(int(MICRO * seconds))
