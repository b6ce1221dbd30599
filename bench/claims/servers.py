"""`ganport serve` under load beside LitServe and Triton: `python bench/claims/servers.py [RUN] [--bundle BUNDLE]`.

A missed threshold is shown and is no failure. Scenarios: 64 clients of one image each (every server and the generator
without a server, in turns), one client, three times the capacity, memory over many requests in a row.
"""

import argparse
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import script
from ganport_bench.effort import OnStep
from ganport_bench.figures import WANTED_DB, Figure, figures_table
from ganport_bench.load.servers import GANPORT
from ganport_bench.machine import Watch
from ganport_bench.records import own_cache, tuned, user_record
from ganport_bench.tables import Table, between, listed, number, percent, reasons
from ganport_serve.settings import Settings
from server_scenarios import (
    FULL,
    PERCENTILES,
    PLANS,
    QUICK,
    TIMES,
    ClientsScenario,
    ServersEffort,
    measure_overload,
    memory,
    one_client,
)
from server_setup import BASELINES, CLIENTS, Starter, set_up

SCENARIOS = ("clients", "one", "overload", "memory")

Row = Mapping[str, Any]


def measure(
    bundle: Path,
    effort: ServersEffort,
    on_step: OnStep,
    *,
    scenarios: Collection[str] = SCENARIOS,
    baselines: Mapping[str, Starter] = BASELINES,
) -> dict[str, Any]:
    """The document's rows, missing servers by plan, and figures; memory around the first plan only."""
    rows, missing, figures = list[Row](), dict[str, Row](), list[Figure]()
    for asked in effort.plans:
        with set_up(bundle, asked, baselines if "clients" in scenarios else {}, effort.known, on_step) as setup:
            if "clients" in scenarios:
                on_step(f"{asked}: {CLIENTS} clients, {len(setup.servers)} servers in turns")
                clients = ClientsScenario(setup, effort)
                missing[asked] = clients.missing
                rows += clients.rows()
                figures += clients.figures(list(baselines))
            if "one" in scenarios:
                on_step(f"{asked}: one client")
                figures += one_client(setup, effort)
            if "overload" in scenarios:
                on_step(f"{asked}: {TIMES:g} times the capacity for {effort.overload_seconds:g} s")
                overload = measure_overload(setup, effort, Settings().max_queue)
                rows.append(overload.row())
                figures += overload.figures()
            if "memory" in scenarios and asked == effort.plans[0]:
                on_step(f"{asked}: {effort.requests:,} requests in a row")
                figures.append(memory(setup, effort.requests))
    return {"rows": rows, "missing": missing, "targets": [figure.to_json() for figure in figures]}


def tables(document: Mapping[str, Any]) -> list[Table]:
    """Many clients around each plan, overload, and the figures last."""
    rows = document["rows"]
    found = [
        _clients_table([row for row in rows if row["asked"] == asked], missing)
        for asked, missing in document["missing"].items()
    ]
    overloads = [_overload_cells(row) for row in rows if row["scenario"] == "overload"]
    if overloads:
        rates = ("offered/s", "images/s", "peak")
        times = ("accepted p50 / p99 ms", "refused p99 / max ms", "sent late p99 / max ms")
        columns = ("plan", *rates, "answers", "lost", *times, "note")
        found.append(Table(f"{TIMES:g} times the capacity, Poisson arrivals", columns, overloads))
    return [*found, figures_table("Thresholds", document["targets"])]


def _clients_table(rows: Sequence[Row], missing: Mapping[str, str]) -> Table:
    alone = next(row for row in rows if row["scenario"] == "offline")
    served = sorted((row for row in rows if row["scenario"] == "clients"), key=lambda row: -row["images_per_second"])
    columns = ("system", "images/s", "95 % interval", "of offline", *(f"p{one} ms" for one in PERCENTILES))
    cpu = ("client us", "server us", "server's own us")
    batch = f"{number(alone['batch_ms'])} a batch"
    first = (alone["system"], *_rate(alone), "", batch, "", "", number(alone["cpu_us"]["client"]))
    notes = [f"{row['system']}, {row['protocol']}: {row['note']}" for row in served if row["note"]]
    return Table(
        f"{CLIENTS} clients of one image each: {alone['plan']}",
        (*columns, *cpu, "checked", "settings"),
        [first, *map(_served_cells, served)],
        "\n".join([*notes, *(f"not measured: {line}" for line in reasons(missing))]),
        bold=[index for index, row in enumerate(served, 1) if row["system"] == GANPORT],
    )


def _served_cells(row: Row) -> tuple[str, ...]:
    share = row["share_of_offline"]
    return (
        f"{row['system']}, {row['protocol']}",
        *_rate(row),
        f"{percent(share['value'])} ({percent(share['low'])} to {percent(share['high'])})",
        *(number(row["latency_ms"][f"p{one}"]) for one in PERCENTILES),
        *(number(row["cpu_us"][name]) for name in ("client", "server")),
        number(row["own_cpu_us"]["value"]),
        f"{row['checked']:,}" + ("" if row["correct"] else " WRONG"),
        listed(row["settings"]),
    )


def _rate(row: Row) -> tuple[str, str]:
    return number(row["images_per_second"]), between(row["low"], row["high"])


def _overload_cells(row: Row) -> tuple[str, ...]:
    return (
        row["asked"],
        *(number(row[name]) for name in ("offered_per_second", "images_per_second", "peak")),
        ", ".join(f"{status}: {count:,}" for status, count in row["answers"].items()),
        f"{row['lost']:,}",
        _pair(row["accepted_ms"], "p50", "p99"),
        _pair(row["refused_ms"], "p99", "max"),
        _pair(row["late_ms"], "p99", "max"),
        row["note"],
    )


def _pair(values: Mapping[str, float] | None, first: str, second: str) -> str:
    return "none" if values is None else f"{number(values[first])} / {number(values[second])}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show tables on stderr and, on request, print the document on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", nargs="?", type=Path, help="a training run; without one, a few steps on digits")
    parser.add_argument("--bundle", type=Path, help="what is served; without one, it is exported from the run now")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, default=SCENARIOS, help=" ".join(SCENARIOS))
    parser.add_argument("--plans", nargs="+", choices=PLANS, help="as tuned, exact, or both; with --quick the first")
    parser.add_argument("--no-peers", action="store_true", help="leave LitServe and Triton out")
    parser.add_argument("--quick", action="store_true", help="few rounds, a short overload, fewer requests")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    options = parser.parse_args(arguments)
    return script.run("servers", partial(_findings, options), width=220, as_json=options.json)


def _findings(options: argparse.Namespace, folder: Path, on_step: OnStep) -> script.Findings:
    from ganport_bench.subject import BenchSubject, make_bundle, make_run

    watch, effort = Watch(), QUICK if options.quick else FULL  # first, or the load would be the benchmark's own
    effort = replace(effort, plans=tuple(options.plans or effort.plans))
    bundle = options.bundle or make_bundle(options.run or make_run(folder, on_step), folder, on_step)
    subject = BenchSubject(bundle)
    least_db = WANTED_DB if subject.is_trained else 0.0
    mine = user_record(subject.opened)
    with own_cache(folder / "cache"):
        _, how = tuned(subject.opened, mine, effort.tuning_seconds, on_step, least_db=least_db)
        baselines = {} if options.no_peers else BASELINES
        results = measure(bundle, effort, on_step, scenarios=options.only, baselines=baselines)
    document = {
        "format": 1,
        "is_quick": options.quick,
        "machine": watch.finished(),
        "model": {"bundle": str(bundle), "is_trained": subject.is_trained, "tuned": how},
        **results,
    }
    return tables(document), list(_remarks(document)), document


def _remarks(document: Mapping[str, Any]) -> Iterator[str]:
    yield "Client, server and engine share the machine's cores; where they compete the client goes first."
    yield "CPU times are of a request, in microseconds of a core; a server's own are without those of an image alone."
    if not document["model"]["is_trained"]:
        yield "These weights are hardly trained: speeds hold and images mean nothing."
    if document["is_quick"]:
        yield "Quick: few rounds, a short overload, fewer requests in a row."


if __name__ == "__main__":
    sys.exit(main())
