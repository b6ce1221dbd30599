"""The sections on the other parts: the start, scenarios, a server under load, and what was skipped."""

from collections.abc import Iterator

from ganport_bench.pages.markdown import Document, between, table

__all__ = ["sections"]

UNITS = {"ms": (1.0, ",.1f", " ms"), "bytes": (1 / 2**20, ",.1f", " MiB"), "x": (1.0, ".2f", "x")}
PERCENTILES = ("p50", "p90", "p99", "p99.9")


def sections(whole: Document) -> Iterator[tuple[str, str]]:
    """By name, from the document of `ganport bench --json`."""
    if "start" in whole:
        yield "start", _start(whole["start"])
    if "scenarios" in whole:
        yield "scenarios", _scenarios(whole["scenarios"])
    if "load" in whole:
        yield "load clients", _clients(whole["load"])
        yield "load rates", _rates(whole["load"])
        yield "load knee", _knee(whole["load"]["knee"])
    yield "skipped", "\n".join(f"- {part}: {why}" for part, why in whole["skipped"].items()) or "Nothing."


def _start(start: Document) -> str:
    columns = ("part", "system", "what", "batch", "measured", "interval")
    return table(columns, [_quantity(quantity) for quantity in start["quantities"]])


def _quantity(quantity: Document) -> tuple[str, ...]:
    factor, form, unit = UNITS[quantity["unit"]]
    scaled = {key: quantity[key] * factor for key in ("value", "low", "high")}
    batch = "" if quantity["batch"] is None else str(quantity["batch"])
    value = f"{scaled['value']:{form}}{unit}"
    return quantity["part"], quantity["system"], quantity["what"], batch, value, between(scaled, form)


def _scenarios(scenarios: Document) -> str:
    columns = ("scenario", "judged by", "value", "samples", "LoadGen says", "precision")
    rows = [
        (
            result["scenario"],
            result["metric"],
            "none" if result["value"] is None else f"{result['value']:,.4g} {result['unit']}",
            f"{result['samples']:,}",
            result["loadgen_says"],
            result["precision"],
        )
        for result in scenarios["results"]
    ]
    return table(columns, rows)


def _clients(load: Document) -> str:
    columns = ("clients", "answers/s", *(f"{name} ms" for name in PERCENTILES), "note")
    return table(columns, [(str(row["concurrency"]), *_answers(row), row["note"]) for row in load["concurrency"]])


def _rates(load: Document) -> str:
    columns = ("arrivals", "offered/s", "answers/s", *(f"{name} ms" for name in PERCENTILES), "held", "note")
    rows = [
        (
            row["arrivals"],
            f"{row['offered_per_second']:,.0f}",
            *_answers(row),
            "void" if row["void"] else "yes" if row["held"] else "no",
            row["note"],
        )
        for row in load["rates"]
    ]
    return table(columns, rows)


def _answers(row: Document) -> tuple[str, ...]:
    latency = row["latency_ms"]
    percentiles = (f"{latency[name]:,.1f}" if latency.get(name) is not None else "" for name in PERCENTILES)
    return f"{row['answered_per_second']:,.0f}", *percentiles


def _knee(knee: Document) -> str:
    found = {name: value for name, value in knee.items() if isinstance(value, dict)}
    lines = [
        f"- {name}: "
        + ("none was held" if one["held_per_second"] is None else f"{one['held_per_second']:,.0f} requests a second")
        + (f" ({one['note']})" if one["note"] else "")
        for name, one in found.items()
    ]
    return "\n".join((f"{knee['definition']}.".replace("..", "."), "", *lines))
