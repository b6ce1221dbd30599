"""What people read: many clients around each plan, one client, overload, memory, and the promises, reached or not."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ganport_bench.serving.effort import CLIENTS
from ganport_bench.serving.promises import Promise
from ganport_bench.serving.results import Results, to_json

__all__ = ["report"]

Document = Mapping[str, Any]
LATENCIES = ("p50", "p90", "p99")


def report(results: Results) -> RenderableType:
    """Everything, in the order in which it is best read: the promises last, where the eye ends up."""
    document = to_json(results)
    parts: list[RenderableType] = []
    for asked, missing in document["missing"].items():
        rows = [row for row in document["rows"] if row["asked"] == asked]
        parts += [_clients(rows), *map(Text, _missing(missing))]
    by_scenario = {name: [row for row in document["rows"] if row["scenario"] == name] for name in _TABLES}
    parts += [_TABLES[name](rows) for name, rows in by_scenario.items() if rows]
    return Group(*parts, _promises(results.promises))


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column)
    for cells in rows:
        table.add_row(*map(Text, cells))
    return table


def _clients(rows: Sequence[Document]) -> RenderableType:
    offline = next(row for row in rows if row["scenario"] == "offline")
    served = sorted((row for row in rows if row["scenario"] == "clients"), key=lambda row: -row["images_per_second"])
    latency = ("p50 ms", "p90 ms", "p99 ms")
    cpu = ("client us", "server us", "of it loop us")
    columns = ("system", "images/s", "95 % interval", "of offline", *latency, *cpu, "checked", "settings")
    table = _table(
        f"{CLIENTS} clients of one image each: {offline['plan']}",
        columns,
        [_offline_cells(offline), *map(_served_cells, served)],
    )
    notes = [Text(f"  {_system(row)}: {row['note']}") for row in served if row["note"]]
    return Group(table, *notes)


def _offline_cells(row: Document) -> tuple[str, ...]:
    batch = f"{row['batch_ms']['value']:.1f} a batch"
    return (row["system"], *_rate(row), "", batch, "", "", f"{row['cpu_us']['client']:.0f}", "", "", "", "")


def _served_cells(row: Document) -> tuple[str, ...]:
    latency, cpu, share = row["latency_ms"], row["cpu_us"], row["share_of_offline"]
    return (
        _system(row),
        *_rate(row),
        f"{share['value']:.1%} ({share['low']:.1%} to {share['high']:.1%})",
        *(f"{latency[name]:.1f}" for name in LATENCIES),
        *(f"{cpu[name]:.0f}" for name in ("client", "server")),
        f"{cpu['loop']:.0f}" if cpu["loop"] >= 1 else "",
        f"{row['checked']:,}" + ("" if row["correct"] else " WRONG"),
        ", ".join(f"{key} {value}" for key, value in row["settings"].items()),
    )


def _rate(row: Document) -> tuple[str, str]:
    return f"{row['images_per_second']:,.0f}", f"{row['low']:,.0f} to {row['high']:,.0f}"


def _system(row: Document) -> str:
    return f"{row['system']}, {row['protocol']}"


def _missing(missing: Mapping[str, str]) -> Iterator[str]:
    for name, reason in missing.items():
        yield f"not measured: {name}: {reason}"


def _one_client(rows: Sequence[Document]) -> Table:
    columns = ("system", "plan", "bare call ms", "request ms", "added ms", "95 % interval", "note")
    return _table("One client, one image at a time: medians", columns, [_one_cells(row) for row in rows])


def _one_cells(row: Document) -> tuple[str, ...]:
    added, bare, request = row["added_ms"], row["bare_ms"]["value"], row["request_ms"]["value"]
    interval = f"{added['low']:.2f} to {added['high']:.2f}"
    return (_system(row), row["asked"], f"{bare:.2f}", f"{request:.2f}", f"{added['value']:.2f}", interval, row["note"])


def _overload(rows: Sequence[Document]) -> Table:
    rates = ("offered/s", "images/s", "peak")
    times = ("accepted p50 / p99 ms", "images meanwhile p99 / bound", "refused p99 / max ms", "sent late p99 / max ms")
    columns = ("plan", *rates, "answers", "lost", *times, "cores: client / server / its loop", "note")
    return _table("Three times the capacity, at times of their own", columns, [_overload_cells(row) for row in rows])


def _overload_cells(row: Document) -> tuple[str, ...]:
    return (
        row["asked"],
        f"{row['offered_per_second']:,.0f}",
        f"{row['images_per_second']:,.0f}",
        f"{row['peak']:,.0f}",
        ", ".join(f"{status}: {count:,}" for status, count in row["answers"].items()),
        f"{row['lost']:,}",
        _pair(row["accepted_ms"], "p50", "p99"),
        "none" if row["passed_p99"] is None else f"{row['passed_p99']:,.0f} / {row['bound']:,}",
        _pair(row["refused_ms"], "p99", "max"),
        _pair(row["late_ms"], "p99", "max"),
        " / ".join(f"{row['cores'][name]:.2f}" for name in ("client", "server", "loop")),
        row["note"],
    )


def _pair(values: Mapping[str, float] | None, first: str, second: str) -> str:
    return "none" if values is None else f"{values[first]:.1f} / {values[second]:.1f}"


def _memory(rows: Sequence[Document]) -> Table:
    columns = ("plan", "requests", "images/s", "warm MiB", "last MiB", "change", "note")
    return _table("Requests in a row: resident memory", columns, [_memory_cells(row) for row in rows])


def _memory_cells(row: Document) -> tuple[str, ...]:
    return (
        row["asked"],
        f"{row['requests']:,}",
        f"{row['images_per_second']:,.0f}",
        f"{row['warm_bytes'] / 2**20:.1f}",
        f"{row['last_bytes'] / 2**20:.1f}",
        f"{row['growth'] - 1:+.2%}",
        row["note"],
    )


_TABLES = {"one client": _one_client, "overload": _overload, "in a row": _memory}


def _promises(promises: Sequence[Promise]) -> Table:
    columns = ("what", "measured", "95 % interval", "wanted", "reached", "from")
    return _table("What was promised", columns, [_promise_cells(promise) for promise in promises])


def _promise_cells(promise: Promise) -> tuple[str, ...]:
    estimate, unit = promise.estimate, promise.unit
    wanted = f"{'at least' if promise.is_floor else 'at most'} {promise.wanted:g} {unit}".strip()
    details = ", ".join(f"{name} {value:,}" for name, value in promise.details.items())
    told = "; ".join(text for text in (details, promise.note) if text)
    if estimate is None:
        return promise.title, "not measured", "", wanted, "no", told
    if promise.is_void:
        reached = "no: void"
    else:
        reached = ("yes" if promise.is_reached else "no") + ("" if promise.is_certain else ", within the noise")
    interval = f"{estimate.low:.2f} to {estimate.high:.2f}" if estimate.low < estimate.high else ""
    return promise.title, f"{estimate.value:.2f} {unit}".strip(), interval, wanted, reached, told
