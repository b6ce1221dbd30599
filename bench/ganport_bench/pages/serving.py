"""The sections on the server beside its peers: what was promised, many clients around each plan, and overload."""

from collections.abc import Iterator

from ganport_bench.pages.markdown import Document, between, interval, load, quickly, table

__all__ = ["sections"]


def sections(serving: Document) -> Iterator[tuple[str, str]]:
    """By name, from the document of `python -m ganport_bench.serving --json`."""
    yield "serving machine", _machine(serving)
    yield "serving promises", _promises(serving)
    yield "serving clients", _clients(serving)
    yield "serving overload", _overload(serving)


def _machine(serving: Document) -> str:
    machine = serving["machine"]
    where = f"{machine['measured_at'][:10]} on {machine['cpu']}, {machine['cores']} cores"
    return f"{quickly(serving)}Measured {where}. {load(machine)}"


def _promises(serving: Document) -> str:
    return table(("what", "measured", "interval", "wanted"), [_promise(one) for one in serving["targets"]])


def _promise(one: Document) -> tuple[str, ...]:
    unit = one["unit"] if one["unit"] in ("", "x") else f" {one['unit']}"
    wanted = f"{'at least' if one['is_floor'] else 'at most'} {one['wanted']:g}{unit}"
    missed = "" if one["reached"] else " **void**" if one["is_void"] else " **missed**"
    if one["measured"] is None:
        return one["title"], f"not measured{missed}: {one['note']}", "", wanted
    form = ",.2f" if 0 < abs(one["measured"]) < 100 else ",.0f"
    return one["title"], f"{one['measured']:{form}}{unit}{missed}", between(one, form), wanted


def _clients(serving: Document) -> str:
    columns = ("system", "plan", "images/s", "of offline", "p50 ms", "p90 ms", "p99 ms", "CPU of client / server, us")
    rows = [row for row in serving["rows"] if row["scenario"] in ("offline", "clients")]
    return table(columns, [_row(row) for row in rows])


def _overload(serving: Document) -> str:
    rates = ("requests/s", "images/s", "its peak")
    counts = ("answered", "refused", "lost")
    columns = ("plan", *rates, *counts, "p99 ms of answers", "p99 ms of refusals")
    return table(columns, [_loaded(row) for row in serving["rows"] if row["scenario"] == "overload"])


def _loaded(row: Document) -> tuple[str, ...]:
    answered = row["answers"].get("200", 0)
    refused = sum(count for status, count in row["answers"].items() if status != "200")
    rates = (f"{row[key]:,.0f}" for key in ("offered_per_second", "images_per_second", "peak"))
    counts = (f"{count:,}" for count in (answered, refused, row["lost"]))
    times = ("" if row[key] is None else f"{row[key]['p99']:,.0f}" for key in ("accepted_ms", "refused_ms"))
    return row["asked"], *rates, *counts, *times


def _row(row: Document) -> tuple[str, ...]:
    rate = interval(row, ",.0f", "images_per_second")
    if row["scenario"] == "offline":
        return row["system"], row["precision"], rate, "", f"a batch: {row['batch_ms']['value']:.1f}", "", "", ""
    latency, cpu = row["latency_ms"], row["cpu_us"]
    return (
        f"{row['system']}, {row['protocol']}" + ("" if row["correct"] else " WRONG"),
        row["precision"],
        rate,
        f"{row['share_of_offline']['value']:.0%}",
        *(f"{latency[name]:.0f}" for name in ("p50", "p90", "p99")),
        f"{cpu['client']:,.0f} / {cpu['server']:,.0f}",
    )
