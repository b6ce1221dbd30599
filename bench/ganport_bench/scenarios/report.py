"""What people read: a row a scenario, LoadGen's word on it, and how the Server's rate was found."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ganport_bench.scenarios.results import DISCLAIMER, Result, Scenarios, Search
from ganport_bench.scenarios.scenario import OFFLINE

__all__ = ["tables"]

RULES_SECONDS = 600  # what MLPerf's own rules ask for at least

COLUMNS = ("scenario", "judged by", "value", "p50 ms", "p90 ms", "p99 ms", "samples", "LoadGen says", "null system us")


def tables(scenarios: Scenarios) -> list[RenderableType]:
    """A table and the lines below it."""
    table = Table(title=f"Scenarios, {DISCLAIMER}", title_justify="left")
    for column in (*COLUMNS, "images", "precision"):
        table.add_column(column)
    for result in scenarios.results:
        table.add_row(*map(Text, _cells(result)))
    return [table, *map(Text, _lines(scenarios))]


def _cells(result: Result) -> tuple[str, ...]:
    latency = {} if result.scenario is OFFLINE else result.log.latency_ms(result.scenario.per_query)
    value = "none" if result.value is None else f"{result.value:,.4g} {result.scenario.unit}"
    return (
        result.scenario.name,
        result.scenario.metric,
        value,
        *(f"{latency[name]:.3g}" if latency else "" for name in ("p50", "p90", "p99")),
        f"{result.log.samples:,}",
        result.log.word,
        f"{result.null_microseconds:.3g}",
        _images(result),
        result.plan.precision,
    )


def _images(result: Result) -> str:
    check = result.check
    if not check.checked:
        return "none compared"
    return f"{check.checked} the same" if check.correct else f"WRONG: {check.differing} of {check.checked}"


def _lines(scenarios: Scenarios) -> Iterator[str]:
    for result in scenarios.results:
        if result.log.reasons:
            yield f"{result.scenario.name} is {result.log.word}: {'; '.join(result.log.reasons)}"
        if result.check.difference is not None:
            yield f"{result.scenario.name}: responses differ from Generator.sample: {result.check.difference}"
        if result.search is not None:
            yield _search(result.search)
    yield _duration(scenarios)
    yield "null system: what a query, in Offline a sample, takes where nothing is made: LoadGen and the way to it"
    yield f"LoadGen's own logs: {scenarios.settings['logs']}"


def _search(search: Search) -> str:
    tried = ", ".join(f"{trial.rate:,.0f} {'yes' if trial.log.keeps_bound else 'no'}" for trial in search.trials)
    return (
        f"Server: 99 % within {1e3 * search.bound:g} ms ({search.bound_how}); {search.how}. "
        f"Queries a second and whether they kept it: {tried}"
    )


def _duration(scenarios: Scenarios) -> str:
    limit, minimum = scenarios.settings["limit_seconds"], scenarios.settings["minimum_seconds"]
    if limit is not None and limit < minimum:
        return f"Runs were ended after {limit:g} s, below LoadGen's minimum of {minimum:g} s: INVALID by that alone"
    return f"VALID is by LoadGen's own minimum of {minimum:g} s; MLPerf's rules ask for {RULES_SECONDS} s and more"
