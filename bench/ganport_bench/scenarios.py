"""A bundle's generator under the four scenarios of MLCommons LoadGen; never an MLPerf result.

A sample is the first image of a seed, its latents made inside what is timed.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ganport_runtime import Batcher, Generator, Plan
from ganport_runtime.atomic import new_folder
from ganport_runtime.batches import TOP, parts
from ganport_runtime.differences import Difference, compare
from ganport_runtime.latents import latents_of

from ganport_bench.effort import Effort, OnStep
from ganport_bench.errors import BenchError
from ganport_bench.loadgen import SAMPLES, Complete, LoadGenLog, QueryServer, minimum_seconds, require_loadgen, run
from ganport_bench.subject import Pixels
from ganport_bench.tables import Table, listed, number
from ganport_bench.timing import stopwatch

DISCLAIMER = "measured with MLCommons LoadGen; not an MLPerf result"
RULES_SECONDS = 600  # what MLPerf's own rules ask for at least

NULL_QUERIES = 1000  # for the system that makes nothing
NULL_SECONDS, NULL_ARRIVALS = 0.3, 100  # of Poisson arrivals for it, and how many at least
WARM_SECONDS = 0.3  # of calls before each run
OFFLINE_SLACK = 1.1  # LoadGen asks for so many times the images of its minimum duration

BOUND_BATCHES = 4.0  # Server's latency bound, in times that MultiStream's query takes
LEAST_BOUND = 0.01  # seconds: below it, the switching of threads is what is measured
START = 0.15  # of the Offline throughput, where LoadGen's search begins
SEARCHES = 3  # each from half the rate of the one before, where that rate did not keep the bound
CONFIRMATIONS, BACK_OFF = 6, 0.92  # runs of full length at most, and the rate of each from that of the one before
ENOUGH_QUERIES = 900  # of which two may be late by LoadGen's early stopping; it wants 459 where none is
QUEUE = 1_000_000  # images: answers may be late, none is refused

QUERY_SIZE = {"MultiStream": {"multi_stream_samples_per_query": 8}}

Make = Callable[[Sequence[int]], Pixels]  # images of seeds, uint8 [seeds, height, width, channels]


@dataclass(frozen=True)
class Scenario:
    """A way to send queries."""

    name: str  # LoadGen's
    metric: str  # what it is judged by
    unit: str  # of the metric
    key: str  # of the metric in LoadGen's detailed log
    factor: float  # from the log's unit to `unit`
    batch: int  # images of a call to the generator; where a batcher puts the batches together, of a query
    per_query: str = ""  # what marks latencies of whole queries in the log, where they are not those of samples


# One image after another; eight at once, one query after another; one image a query, Poisson arrivals, the highest rate
# of which 99 % of the answers come within a bound; all images in one query.
SINGLE_STREAM = Scenario(
    "SingleStream", "90th percentile latency", "ms", "result_90.00_percentile_latency_ns", 1e-6, batch=1
)
_PER_QUERY = "result_99.00_percentile_per_query_latency_ns"
MULTI_STREAM = Scenario("MultiStream", "99th percentile latency of 8 samples", "ms", _PER_QUERY, 1e-6, 8, "per_query_")
SERVER = Scenario(
    "Server", "highest target rate within the latency bound", "queries/s", "effective_target_qps", 1.0, batch=1
)
OFFLINE = Scenario("Offline", "throughput", "samples/s", "result_samples_per_second", 1.0, batch=TOP)


@dataclass(frozen=True)
class InTurn:
    """Makes the images of a query, `batch` at a time, before it takes the next one; the last batch is filled up."""

    make: Make
    batch: int

    def issue(self, ids: Sequence[int], seeds: Sequence[int], complete: Complete) -> None:
        """Complete them batch by batch."""
        for part in parts(len(seeds), self.batch):
            wanted = list(seeds[part])
            wanted += [0] * (self.batch - len(wanted))
            complete(ids[part], self.make(wanted))


@dataclass(frozen=True)
class ThroughBatcher:
    """Hands every sample to a batcher, which completes it from a thread of its own."""

    batcher: Batcher

    def issue(self, ids: Sequence[int], seeds: Sequence[int], complete: Complete) -> None:
        """Queue them."""

        def hand_over(one: int, answer: Future[Pixels]) -> None:
            error = answer.exception()
            complete((one,), answer.result() if error is None else error)

        for one, seed in zip(ids, seeds, strict=True):
            self.batcher.submit(seed=seed).add_done_callback(partial(hand_over, one))


def drawing(generator: Generator) -> Make:
    """Makes images as users of a generator do."""

    def make(seeds: Sequence[int]) -> Pixels:
        if len(seeds) == 1:
            return generator.sample(1, seed=seeds[0])
        return generator(latents_of([(seed, 0, 1) for seed in seeds], generator.latent_dim))

    return make


def nothing(generator: Generator, batch: int) -> InTurn:
    """Answers at once with the same black images: what remains is LoadGen and the way to it."""
    black = np.zeros((batch, *generator.image_shape), np.uint8)
    return InTurn(lambda _seeds: black, batch)


@dataclass(frozen=True)
class ResponseCheck:
    """The responses that LoadGen kept of a timed run, compared with `Generator.sample` bit for bit."""

    checked: int  # responses that LoadGen kept
    differing: int  # of them that are not the same bytes
    # of those that are images at all, from what they should be; None where there are none.
    difference: Difference | None

    @classmethod
    def of(cls, log: LoadGenLog, expected: Callable[[int], Pixels]) -> "ResponseCheck":
        """Compare each response that was kept with the image of its seed."""
        images = {seed: expected(seed) for seed in {seed for seed, _ in log.responses}}
        differing = [(data, images[seed]) for seed, data in log.responses if data != images[seed].tobytes()]
        pairs = [(np.frombuffer(data, np.uint8), image) for data, image in differing if len(data) == image.nbytes]
        made = [pixels.reshape(image.shape) for pixels, image in pairs]
        difference = compare(np.stack(made), np.stack([image for _, image in pairs])) if pairs else None
        return cls(len(log.responses), len(differing), difference)

    @property
    def correct(self) -> bool | None:
        """Whether all of it is right; None where there was nothing to compare."""
        return self.differing == 0 if self.checked else None


@dataclass(frozen=True)
class RateTrial:
    """The search for the Server scenario's rate, or one run that confirms it."""

    rate: float  # target, queries a second
    log: LoadGenLog  # LoadGen's
    logs: str  # its folder, below that of all logs
    is_confirmation: bool  # a run of full length, not the search

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {
            "target_queries_per_second": self.rate,
            "p99_ms": self.log.latency_ms("")["p99"],
            "keeps_bound": self.log.keeps_bound if self.is_confirmation else self.log.peak is not None,
            "loadgen_says": self.log.word,
            "is_confirmation": self.is_confirmation,
            "logs": self.logs,
        }


def _search_json(bound: float, effort: Effort, trials: Sequence[RateTrial]) -> dict[str, Any]:
    how = (
        f"LoadGen's own search from {START:g} times the Offline throughput, in runs of {effort.search_seconds:g} s, "
        f"{SEARCHES} times at most, each from half the rate of the one before where that did not keep the bound; "
        f"then runs of full length, each at {BACK_OFF:.0%} of the rate before, until one keeps the bound, "
        f"{CONFIRMATIONS} at most"
    )
    return {
        "latency_bound_ms": 1e3 * bound,
        "latency_bound": f"{BOUND_BATCHES:g} times the median of MultiStream, at least {1e3 * LEAST_BOUND:g} ms",
        "how": how,
        "trials": [trial.to_json() for trial in trials],
    }


@dataclass(frozen=True)
class ScenarioResult:
    """One scenario."""

    scenario: Scenario  # which
    log: LoadGenLog  # LoadGen's, of the run that counts
    logs: str  # the folder of that run's logs, below that of all logs
    # of a query, of a sample in Offline, where the system makes nothing: LoadGen's own cost and that of the way
    # to it.
    null_microseconds: float
    check: ResponseCheck  # of its responses
    plan: Plan  # what ran
    search: Mapping[str, Any] | None = None  # of the Server scenario

    @property
    def value(self) -> float | None:
        """The metric in its unit; None where no rate kept the latency bound."""
        if self.scenario is SERVER and not self.log.keeps_bound:
            return None
        return float(self.log.values[self.scenario.key]) * self.scenario.factor

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        difference = self.check.difference
        return {
            "scenario": self.scenario.name,
            "metric": self.scenario.metric,
            "value": self.value,
            "unit": self.scenario.unit,
            "loadgen_says": self.log.word,
            "reasons": self.log.reasons,
            "recommendation": str(self.log.values.get("result_invalid_reason", "")).strip(),
            "queries": self.log.values["result_query_count"],
            "samples": self.log.samples,
            "latency_ms": self.log.latency_ms(self.scenario.per_query),
            "null_microseconds": self.null_microseconds,
            "correct": self.check.correct,
            "responses": {
                "checked": self.check.checked,
                "differing": self.check.differing,
                "difference": None if difference is None else asdict(difference),
            },
            "plan": str(self.plan),
            "precision": self.plan.precision,
            "errors": list(self.log.errors),
            "warnings": list(self.log.warnings),
            "settings": self.log.settings,
            "logs": self.logs,
            **({} if self.search is None else {"search": self.search}),
        }


@dataclass(frozen=True)
class Scenarios:
    """All of them, and the settings that they share."""

    settings: Mapping[str, Any]
    results: Sequence[ScenarioResult]

    def to_json(self) -> dict[str, Any]:
        """The part `scenarios` of the document."""
        return {"settings": dict(self.settings), "results": [result.to_json() for result in self.results]}


def measure(bundle: Path, effort: Effort, logs: Path, on_step: OnStep) -> Scenarios:
    """Send a bundle's generator the queries of LoadGen's four scenarios, in this process.

    Each scenario but Server calls the generator with the plan of its own batch size; Server sends every sample to a
    `Batcher` of one plan.
    """
    require_loadgen()
    with Generator.open(bundle) as generator:
        single, multi, offline = (
            _measure_in_turn(scenario, generator, effort, logs, on_step)
            for scenario in (SINGLE_STREAM, MULTI_STREAM, OFFLINE)
        )
    rate = float(offline.log.values[OFFLINE.key])
    bound = latency_bound(multi.log.latency_ms(MULTI_STREAM.per_query)["p50"] / 1e3)
    with Generator.open(bundle, one_plan=True) as one, log_folder(logs / SERVER.name) as folder:
        server = _measure_server(one, rate, bound, effort, folder, on_step)
    settings = {
        "what": DISCLAIMER,
        "loadgen": offline.log.values["loadgen_version"],
        "precision": "auto",
        "samples": SAMPLES,
        "sample": "the first image of a seed, its latents made inside the call",
        "where": "LoadGen and the system in one process, which share its cores",
        "limit_seconds": effort.limit_seconds,
        "minimum_seconds": minimum_seconds(),
        "logs": str(logs),
    }
    return Scenarios(settings, (single, multi, server, offline))


def _measure_in_turn(
    scenario: Scenario, generator: Generator, effort: Effort, logs: Path, on_step: OnStep
) -> ScenarioResult:
    on_step(f"LoadGen, {scenario.name}")
    batch, make = scenario.batch, drawing(generator)
    with log_folder(logs / scenario.name) as folder:
        null_values = {"min_duration_ms": 0, "min_query_count": NULL_QUERIES, **QUERY_SIZE.get(scenario.name, {})}
        null = run(nothing(generator, batch), scenario.name, null_values, folder / "null")
        values = in_turn_values(scenario, _fastest_call(make, batch), effort)
        log = run(InTurn(make, batch), scenario.name, values, folder)
        check = ResponseCheck.of(log, _expecting(generator, batch))
    if scenario is OFFLINE:  # all samples are one query
        microseconds = 1e6 / float(null.values[OFFLINE.key])
    else:
        microseconds = 1e3 * null.latency_ms(scenario.per_query)["mean"]
    return ScenarioResult(scenario, log, scenario.name, microseconds, check, generator.plans[batch])


def _fastest_call(make: Make, batch: int) -> float:
    call = stopwatch(partial(make, range(batch)))
    end = time.monotonic() + WARM_SECONDS
    fastest = call()
    while time.monotonic() < end:
        fastest = min(fastest, call())
    return fastest


def _expecting(generator: Generator, bucket: int) -> Callable[[int], Pixels]:
    """The first image of a seed, made by the plan and at the size of that bucket: others may round otherwise."""
    return lambda seed: generator.sample(bucket, seed=seed)[0]


def in_turn_values(scenario: Scenario, call_seconds: float, effort: Effort) -> dict[str, float]:
    """What LoadGen is told for queries one after another, or a single one."""
    rate, limit = scenario.batch / call_seconds, effort.limit_seconds
    expected: dict[str, float]
    if scenario is OFFLINE:
        # LoadGen has one query, which nothing ends, so a short run is one of fewer samples.
        expected = {"offline_expected_qps": rate if limit is None else rate * limit / OFFLINE_SLACK / minimum_seconds()}
    else:
        name = "single_stream" if scenario is SINGLE_STREAM else "multi_stream"
        expected = {
            f"{name}_expected_latency_ns": max(1, round(1e9 * call_seconds)),
            **QUERY_SIZE.get(scenario.name, {}),
        }
    return {**expected, **_length(limit, rate, effort)}


def _length(limit_seconds: float | None, rate: float, effort: Effort) -> dict[str, float]:
    """When a run ends, and the probability with which LoadGen keeps each response's bytes."""
    samples = rate * (limit_seconds or minimum_seconds())
    end = {} if limit_seconds is None else {"max_duration_ms": max(1, round(1e3 * limit_seconds))}
    return {**end, "accuracy_log_probability": min(1.0, effort.checked / samples)}


def latency_bound(batch_seconds: float) -> float:
    """Seconds within which Server wants 99 % of the answers, from what a query of MultiStream takes.

    They are rounded up to two digits, so that two runs on one machine mostly have the same bound.
    """
    seconds = BOUND_BATCHES * batch_seconds
    digit = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return max(LEAST_BOUND, math.ceil(seconds / digit - 1e-9) * digit)


def _measure_server(
    generator: Generator, offline_rate: float, bound: float, effort: Effort, folder: Path, on_step: OnStep
) -> ScenarioResult:
    on_step("LoadGen, Server: the search for its rate")
    with Batcher(generator, max_queue=QUEUE) as batcher:
        system = ThroughBatcher(batcher)
        trials = search_rate(system, START * offline_rate, bound, effort, folder)
        rate = trials[-1].rate
        for index in range(CONFIRMATIONS if trials[-1].log.peak else 1):
            on_step(f"LoadGen, Server at {rate:,.0f} queries a second")
            name = f"{index + 1}-at-{rate:.0f}-a-second"
            limit = effort.limit_seconds
            if limit is not None:  # as many seconds as enough queries take, but none beyond LoadGen's minimum
                limit = min(max(limit, ENOUGH_QUERIES / rate), minimum_seconds())
            log = run(system, SERVER.name, _arrivals(rate, bound) | _length(limit, rate, effort), folder / name)
            trials.append(RateTrial(rate, log, f"{SERVER.name}/{name}", is_confirmation=True))
            if log.keeps_bound:
                break
            rate *= BACK_OFF
        last = trials[-1]
        check = ResponseCheck.of(last.log, _expecting(generator, min(batcher.buckets)))
    arrivals = max(NULL_ARRIVALS, round(last.rate * NULL_SECONDS))
    values = {**_arrivals(last.rate, bound), "min_duration_ms": 0, "min_query_count": arrivals}
    null = run(nothing(generator, 1), SERVER.name, values, folder / "null").latency_ms("")["mean"]
    search = _search_json(bound, effort, trials)
    return ScenarioResult(SERVER, last.log, last.logs, 1e3 * null, check, generator.plan, search)


def search_rate(
    system: QueryServer, start: float, bound_seconds: float, effort: Effort, folder: Path
) -> list[RateTrial]:
    """Let LoadGen double the rate from `start` until it fails, then halve the range to one query a second.

    Where `start` itself does not keep the bound, which may be another program's fault, it begins again at half of it.
    """
    length = {
        "min_duration_ms": max(1, round(1e3 * effort.search_seconds)),
        "max_duration_ms": max(1, round(2e3 * effort.search_seconds)),
        "server_find_peak_qps_decimals_of_precision": 0,
    }
    trials: list[RateTrial] = []
    for index in range(SEARCHES):
        rate, name = start / 2**index, f"search-{index + 1}"
        log = run(system, SERVER.name, _arrivals(rate, bound_seconds) | length, folder / name, is_search=True)
        trials.append(RateTrial(log.peak or rate, log, f"{SERVER.name}/{name}", is_confirmation=False))
        if log.peak is not None:
            break
    return trials


def _arrivals(rate: float, bound_seconds: float) -> dict[str, float]:
    return {"server_target_qps": rate, "server_target_latency_ns": round(1e9 * bound_seconds)}


@contextmanager
def log_folder(place: Path) -> Iterator[Path]:
    """A folder to write logs into that replaces `place` as the block ends."""
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise BenchError(f"{place} is no folder, and logs are to be kept there; choose another place for them")
    try:
        with new_folder(place, overwrite=True) as folder:
            yield folder
    except OSError as error:
        raise BenchError(f"logs cannot be kept in {place}: {error.strerror or error}") from error


SHOWN = ("p50", "p90", "p99")
COLUMNS = ("scenario", "judged by", "value", *(f"{name} ms" for name in SHOWN), "samples", "LoadGen says",
           "null system us", "images", "computes in")  # fmt: skip
TRIALS = ("queries/s", "p99 ms", "kept the bound", "LoadGen says", "full length")


def tables(document: Mapping[str, Any]) -> list[Table]:
    """A row a scenario with the lines below it, how Server's rate was found, and all settings."""
    found = document["scenarios"]
    results, settings = found["results"], found["settings"]
    title = f"Scenarios, {settings.get('what', DISCLAIMER)}"
    shown = [Table(title, COLUMNS, [_cells(result) for result in results], "\n".join(_lines(results, settings)))]
    for result in results:
        if search := result.get("search"):
            bound = f"99 % within {number(search['latency_bound_ms'])} ms ({search['latency_bound']})"
            rows = [_trial(trial) for trial in search["trials"]]
            note = f"{bound}; {search['how']}."
            shown.append(Table(f"{result['scenario']}: how its rate was found", TRIALS, rows, note))
    plans = [(result["scenario"], result["plan"]) for result in results]
    plans += [(name, listed(value) if isinstance(value, Mapping) else str(value)) for name, value in settings.items()]
    names = dict.fromkeys(name for result in results for name in result["settings"])
    each = [(name, *(str(result["settings"].get(name, "")) for result in results)) for name in names]
    columns = ("LoadGen's setting", *(result["scenario"] for result in results))
    return [
        *shown,
        Table("Plans and settings", ("", ""), plans, is_long=True),
        Table("LoadGen's settings", columns, each, is_long=True),
    ]


def _cells(result: Mapping[str, Any]) -> tuple[str, ...]:
    latency = {} if result["scenario"] == OFFLINE.name else result["latency_ms"]
    responses = result.get("responses", {})
    checked = responses.get("checked", 0)
    images = f"{checked} the same" if checked else "none compared"
    return (
        result["scenario"],
        result["metric"],
        "none" if result["value"] is None else f"{number(result['value'])} {result['unit']}",
        *(number(latency.get(name)) for name in SHOWN),
        f"{result['samples']:,}",
        result["loadgen_says"],
        number(result.get("null_microseconds")),
        f"WRONG: {responses.get('differing')} of {checked}" if result["correct"] is False else images,
        result["precision"],
    )


def _trial(trial: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        number(trial["target_queries_per_second"]),
        number(trial["p99_ms"]),
        "yes" if trial["keeps_bound"] else "no",
        trial["loadgen_says"],
        "yes" if trial["is_confirmation"] else "",
    )


def _lines(results: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> Iterator[str]:
    for result in results:
        if result["reasons"]:
            yield f"{result['scenario']} is {result['loadgen_says']}: {'; '.join(result['reasons'])}"
        if difference := (result.get("responses") or {}).get("difference"):
            psnr = number(difference["psnr_db_mean"])
            yield f"{result['scenario']}: responses differ from Generator.sample: mean PSNR {psnr} dB"
    limit, minimum = settings.get("limit_seconds"), settings.get("minimum_seconds")
    if limit is not None and minimum is not None and limit < minimum:
        yield f"Runs were ended after {limit:g} s, below LoadGen's minimum of {minimum:g} s: INVALID by that alone"
    elif minimum is not None:
        yield f"VALID is by LoadGen's own minimum of {minimum:g} s; MLPerf's rules ask for {RULES_SECONDS} s and more"
    yield "null system: what a query, in Offline a sample, takes where nothing is made: LoadGen and the way to it"
    yield f"LoadGen's own logs: {settings.get('logs')}"
