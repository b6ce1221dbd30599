"""LoadGen's scenarios: the metric of each, its word on it, and how the Server's rate was found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ganport_bench.report.html import Html, details, paragraph, table, tag
from ganport_bench.report.rows import Document
from ganport_bench.report.text import list_of, number

__all__ = ["scenarios"]

PERCENTILES = ("p50", "p90", "p99")
COLUMNS = ("scenario", "judged by", "value", *(f"{name} ms" for name in PERCENTILES), "samples", "LoadGen says")


def scenarios(document: Document) -> Iterator[Html]:
    """A row a scenario, reasons below, settings where they are asked for."""
    found = document["scenarios"]
    results = found["results"]
    yield paragraph(str(found["settings"].get("what", "")))
    yield table((*COLUMNS, "null system us", "images", "computes in"), map(_cells, results))
    for result in results:
        yield from _remarks(result)
    yield details(
        "Plans and settings",
        table(("scenario", "plan"), [(one["scenario"], one["plan"]) for one in results]),
        table(("all", ""), _settings(found["settings"])),
        _each(results),
    )


def _cells(result: Mapping[str, Any]) -> tuple[str, ...]:
    latency = {} if result["scenario"] == "Offline" else result["latency_ms"]  # there all samples are one query
    return (
        result["scenario"],
        result["metric"],
        "none" if result["value"] is None else f"{number(result['value'])} {result['unit']}",
        *(number(latency.get(name)) for name in PERCENTILES),
        f"{result['samples']:,}",
        result["loadgen_says"],
        number(result.get("null_microseconds")),
        _images(result),
        result["precision"],
    )


def _images(result: Mapping[str, Any]) -> str:
    responses = result.get("responses", {})
    checked, differing = responses.get("checked", 0), responses.get("differing", 0)
    if result["correct"] is False:
        return tag("span", f"WRONG: {differing} of {checked}", class_="wrong")
    return f"{checked} the same" if checked else "none compared"


def _remarks(result: Mapping[str, Any]) -> Iterator[Html]:
    name = result["scenario"]
    if result["reasons"]:
        yield paragraph(f"{name} is {result['loadgen_says']}: {'; '.join(result['reasons'])}")
    if result.get("search"):
        yield _search(name, result["search"])


def _search(name: str, search: Mapping[str, Any]) -> Html:
    columns = ("queries/s", "p99 ms", "kept the bound", "LoadGen says", "full length")
    rows = [
        (
            number(trial["target_queries_per_second"]),
            number(trial["p99_ms"]),
            "yes" if trial["keeps_bound"] else "no",
            trial["loadgen_says"],
            "yes" if trial["is_confirmation"] else "",
        )
        for trial in search["trials"]
    ]
    bound = f"99 % within {number(search['latency_bound_ms'])} ms ({search['latency_bound']})"
    return details(f"{name}: how its rate was found", paragraph(f"{bound}; {search['how']}."), table(columns, rows))


def _each(results: Sequence[Mapping[str, Any]]) -> Html:
    """LoadGen's settings, a column a scenario."""
    names = dict.fromkeys(name for result in results for name in result["settings"])
    rows = [(name, *(str(result["settings"].get(name, "")) for result in results)) for name in names]
    return table(("LoadGen's setting", *(result["scenario"] for result in results)), rows)


def _settings(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        yield name, list_of(value) if isinstance(value, Mapping) else str(value)
