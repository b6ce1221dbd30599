"""What people read of a server under load: clients that wait, requests at times of their own, the knee."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ganport_bench.load.answers import Answers
from ganport_bench.load.knee import Knee
from ganport_bench.load.latency import Latency, least_samples
from ganport_bench.load.measure import Load
from ganport_bench.load.rate_row import RateRow
from ganport_bench.load.statistics import ServerTimes
from ganport_bench.load.sweep import ConcurrencyRow

__all__ = ["tables"]

SHOWN = (50.0, 90.0, 99.0, 99.9)
PERCENTILES = tuple(f"p{percent:g} ms" for percent in SHOWN)
SERVER = ("queue ms", "compute ms")
MILLI = 1e3


def tables(load: Load) -> list[RenderableType]:
    """The closed loop, the open one, and what is to be known beside them."""
    return [_closed(load), _open(load), *map(Text, _lines(load))]


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    for cells in rows:
        table.add_row(*map(Text, cells))
    return table


def _closed(load: Load) -> Table:
    columns = ("clients", "answers/s", *PERCENTILES, *SERVER, "windows", "checked", "note")
    return _table(f"{load.target}: clients that wait for their answers", columns, [*map(_waiting, load.concurrency)])


def _waiting(row: ConcurrencyRow) -> tuple[str, ...]:
    answers = row.answers
    windows = f"{len(row.windows)}" + ("" if row.is_stable else " UNSTABLE")
    return (
        str(row.concurrency),
        f"{answers.per_second:,.0f}",
        *_percentiles(answers.latency),
        *_server(row.server),
        windows,
        f"{answers.checked:,}",
        row.note,
    )


def _open(load: Load) -> Table:
    rates = ("arrivals", "offered/s", "of capacity", "answers/s")
    judged = (f"within {MILLI * load.bound.seconds:.1f} ms", "held", "refused", "sent late p50 / p99 / max ms", "note")
    columns = (*rates, *PERCENTILES, *SERVER, *judged)
    title = f"{load.target}: requests at times of their own, latency from when each was due"
    return _table(title, columns, [*map(_due, load.rates)])


def _due(row: RateRow) -> tuple[str, ...]:
    answers = row.answers
    return (
        row.arrivals,
        f"{row.offered:,.0f}",
        f"{row.of_capacity:.0%}",
        f"{answers.per_second:,.0f}",
        *_percentiles(answers.latency),
        *_server(row.server),
        f"{row.in_time:.1%}",
        "void" if row.void else "yes" if row.is_held else "no",
        _refused(answers),
        " / ".join(f"{MILLI * late:.1f}" for late in row.late),
        row.note,
    )


def _percentiles(latency: Latency) -> list[str]:
    known = latency.known
    return [f"{MILLI * known[percent]:.1f}" if percent in known else "" for percent in SHOWN]


def _server(times: ServerTimes | None) -> tuple[str, str]:
    if times is None:
        return "", ""
    return f"{MILLI * times.queue:.1f}", f"{MILLI * (times.total - times.queue):.1f}"


def _refused(answers: Answers) -> str:
    return f"{answers.refused:,}" if answers.refused else ""


def _lines(load: Load) -> list[str]:
    opened = load.opened
    facts = ", ".join(f"{name} {value}" for name, value in opened.facts.items())
    needs = ", ".join(f"p{percent:g} {least_samples(percent):,}" for percent in SHOWN)
    lines = [
        *(f"Knee, {name} arrivals: {_knee(knee)}" for name, knee in load.knees.items()),
        f"The knee: {load.bound.definition}.",
        *(() if load.concurrency[0].is_stable else ("The median of a lone client is unstable.",)),
        f"{opened.system}: {facts}" if facts else opened.system,
        f"{opened.judged}; a percentile is shown from so many answers on: {needs}.",
    ]
    return [*lines, f"Without the server's own times: {opened.no_statistics}."] if opened.no_statistics else lines


def _knee(knee: Knee) -> str:
    held = "none held" if knee.held is None else f"{knee.held:,.0f}/s held"
    failed = "" if knee.failed is None else f", {knee.failed:,.0f}/s not"
    return f"{held}{failed}" + (f"; {knee.note}" if knee.note else "")
