"""Runs the four scenarios around one bundle's generator."""

import time
from functools import partial
from pathlib import Path
from typing import Any

from ganport_runtime import Generator

from ganport_bench.command import OnStep
from ganport_bench.errors import BenchError
from ganport_bench.scenarios.answers import check_responses, expecting
from ganport_bench.scenarios.effort import Effort
from ganport_bench.scenarios.loadgen import SAMPLES, minimum_seconds, require_loadgen, run
from ganport_bench.scenarios.log import Log
from ganport_bench.scenarios.log_folder import log_folder
from ganport_bench.scenarios.results import DISCLAIMER, Result, Scenarios
from ganport_bench.scenarios.scenario import MULTI_STREAM, OFFLINE, SERVER, SINGLE_STREAM, Scenario
from ganport_bench.scenarios.server import Bound, measure_server
from ganport_bench.scenarios.settings import in_turn_settings, null_settings
from ganport_bench.scenarios.systems import InTurn, Make, drawing, nothing
from ganport_bench.timing import stopwatch

__all__ = ["measure_scenarios"]


def measure_scenarios(
    bundle: Path,
    effort: Effort,
    logs: Path,
    on_step: OnStep,
    precision: str = "auto",
    latency_bound: float | None = None,
) -> Scenarios:
    """Send a bundle's generator the queries of LoadGen's four scenarios, in this process.

    Each scenario but Server calls the generator with the plan of its own batch size; Server sends every sample to a
    `Batcher` of one plan. Latents are made inside what is timed.

    Args:
        bundle: whose generator.
        effort: how long.
        logs: a folder for LoadGen's logs; each scenario's folder in it is replaced as a whole.
        on_step: called with a few words before each step.
        precision: asked for; `auto`: the fastest plan known.
        latency_bound: seconds within which Server wants 99 % of the answers; None: from the measured batch time.

    Raises:
        BenchError: LoadGen is not installed, the bound is none, logs cannot be written, or the generator failed.
    """
    require_loadgen()
    if latency_bound is not None and not latency_bound > 0:
        raise BenchError(f"a latency bound of {latency_bound:g} s was given, more than 0 is wanted")
    with Generator.open(bundle, precision=precision) as generator:
        single, multi, offline = (
            _measure_in_turn(scenario, generator, effort, logs, on_step)
            for scenario in (SINGLE_STREAM, MULTI_STREAM, OFFLINE)
        )
    rate = float(offline.log.values[OFFLINE.key])
    bound = Bound(latency_bound, multi.log.latency_ms(MULTI_STREAM.per_query)["p50"] / 1e3, effort.bound_batches)
    with Generator.open(bundle, precision=precision, one_plan=True) as one, log_folder(logs / SERVER.name) as folder:
        server = measure_server(one, rate, bound, effort, folder, on_step)
    return Scenarios(_settings(effort, logs, precision, offline.log), (single, multi, server, offline))


def _measure_in_turn(scenario: Scenario, generator: Generator, effort: Effort, logs: Path, on_step: OnStep) -> Result:
    """The system that makes nothing, then the generator, warm."""
    on_step(f"LoadGen, {scenario.name}")
    batch, make = scenario.batch, drawing(generator)
    with log_folder(logs / scenario.name) as folder:
        null = run(
            InTurn(nothing(generator, batch), batch), scenario.name, null_settings(scenario, effort), folder / "null"
        )
        settings = in_turn_settings(scenario, _fastest_call(make, batch, effort.warm_seconds), effort)
        log = run(InTurn(make, batch), scenario.name, settings, folder)
        check = check_responses(log, expecting(generator, batch))
    return Result(scenario, log, scenario.name, _microseconds(scenario, null), check, generator.plans[batch])


def _fastest_call(make: Make, batch: int, seconds: float) -> float:
    """Seconds of the fastest of calls in a row."""
    call = stopwatch(partial(make, range(batch)))
    end = time.monotonic() + seconds
    fastest = call()
    while time.monotonic() < end:
        fastest = min(fastest, call())
    return fastest


def _microseconds(scenario: Scenario, null: Log) -> float:
    """Of a query, on average; of a sample where all samples are one query."""
    if scenario is OFFLINE:
        return 1e6 / float(null.values[OFFLINE.key])
    return 1e3 * null.latency_ms(scenario.per_query)["mean"]


def _settings(effort: Effort, logs: Path, precision: str, log: Log) -> dict[str, Any]:
    return {
        "what": DISCLAIMER,
        "loadgen": log.values["loadgen_version"],
        "precision": precision,
        "samples": SAMPLES,
        "sample": "the first image of a seed, its latents made inside the call",
        "where": "LoadGen and the system in one process, which share its cores",
        "limit_seconds": effort.limit_seconds,
        "minimum_seconds": minimum_seconds(),
        "logs": str(logs),
    }
