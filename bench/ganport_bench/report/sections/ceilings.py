"""This machine's ceilings: matrix products, memory, and the floor under a call of the network."""

from collections.abc import Iterator, Mapping
from typing import Any

from ganport_bench.report.html import Html, paragraph, table, tag
from ganport_bench.report.rows import Document
from ganport_bench.report.text import between, estimate, list_of, mebibytes, number

__all__ = ["ceilings", "overhead"]

GIGA, MEGA = 1e9, 1e6


def ceilings(document: Document) -> Iterator[Html]:
    """The network's demand; peaks, bandwidth and floors of the processor, and of a GPU where it has its own."""
    found = document["ceilings"]
    needed = found.get("needed_multiply_adds_an_image")
    padding = "" if needed is None else f", {needed / MEGA:,.1f} million of them not on padding"
    yield paragraph(f"{found['multiply_adds_an_image'] / MEGA:,.1f} million multiply-adds an image{padding}.")
    sizes = {name.replace("_", " "): f"{size:,}" for name, size in found.get("bytes", {}).items()}
    if sizes:
        yield paragraph(f"Bytes: {list_of(sizes)}.")
    yield from _device(found)
    for name, device in found.items():
        if isinstance(device, Mapping) and "peaks" in device:
            yield tag("h3", name)
            yield from _device(device)


def _device(found: Mapping[str, Any]) -> Iterator[Html]:
    columns = ("precision", "Gop/s", "95 % interval", "images/s at that", "measured by", "refused")
    yield table(columns, [_peak(precision, peak) for precision, peak in found["peaks"].items()])
    if found.get("bandwidth"):
        yield from _bandwidth(found["bandwidth"])
    if found.get("floors"):
        least = ("the least that a call takes", "batch", "ms", "images/s", "bound by")
        yield table(least, list(_floors(found["floors"])))


def _scaled(rate: Mapping[str, float]) -> dict[str, float]:
    return {key: rate[key] / GIGA for key in ("value", "low", "high")}


def _peak(precision: str, peak: Mapping[str, Any]) -> tuple[str, ...]:
    rate = _scaled(peak["operations_per_second"])
    refused = "; ".join(f"{how}: {why}" for how, why in (peak.get("refused") or {}).items())
    interval = between(rate["low"], rate["high"])
    return precision, number(rate["value"]), interval, number(peak["images_per_second"]), peak["how"], refused


def _bandwidth(bandwidth: Mapping[str, Any]) -> Iterator[Html]:
    yield paragraph(f"Memory: {_stream(bandwidth)}.")
    cache = bandwidth.get("cache")
    if cache:
        yield paragraph(f"Its last cache of {mebibytes(cache['bytes'])} MiB: {_stream(cache)}.")


def _stream(stream: Mapping[str, Any]) -> str:
    return f"{estimate(_scaled(stream['bytes_per_second']), ' GB/s')}, {stream['how']}"


def _floors(floors: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Iterator[tuple[str, ...]]:
    for precision, batches in floors.items():
        for batch, floor in batches.items():
            rate = number(floor["images_per_second"])
            yield precision, batch, number(1e3 * floor["seconds"]), rate, floor["bound"]


def overhead(document: Document) -> Iterator[Html]:
    """What ganport's own code takes."""
    rows = [
        (one["system"], str(one["batch"]), number(one["microseconds"]["value"]), _interval(one["microseconds"]))
        for one in document["overhead"]
    ]
    yield paragraph("What ganport's own code takes around an engine that does nothing.")
    yield table(("system", "batch", "microseconds of a call", "95 % interval"), rows)


def _interval(one: Mapping[str, float]) -> str:
    return between(one["low"], one["high"])
