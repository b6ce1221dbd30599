"""The Server scenario: the highest rate of Poisson arrivals of which 99 % are answered within a bound."""

import math
from pathlib import Path

from ganport_runtime import Batcher, Generator

from ganport_bench.command import OnStep
from ganport_bench.scenarios.answers import check_responses, expecting
from ganport_bench.scenarios.effort import Effort
from ganport_bench.scenarios.loadgen import minimum_seconds, run
from ganport_bench.scenarios.results import Result, Search, Trial
from ganport_bench.scenarios.scenario import SERVER
from ganport_bench.scenarios.search import highest
from ganport_bench.scenarios.settings import server_null_settings, server_settings
from ganport_bench.scenarios.systems import Batched, InTurn, nothing

__all__ = ["Bound", "measure_server"]

CEILING = 1.2  # times the Offline throughput: the batcher overlaps more with the engine than calls in a row do
BACK_OFF = 0.92  # from one confirmation to the next
ENOUGH_QUERIES = 900  # of which two may be late by LoadGen's early stopping; it wants 459 where none is
LEAST_BOUND = 0.01  # seconds: below it, the switching of threads is what is measured
QUEUE = 1_000_000  # images: answers may be late, none is refused


class Bound:
    """The seconds within which 99 % of the answers are wanted.

    Args:
        given: by the user, or None.
        batch_seconds: what a query of MultiStream takes, by its median.
        batches: the bound where none is given, in such times, rounded up to two digits.
    """

    def __init__(self, given: float | None, batch_seconds: float, batches: float) -> None:
        if given is not None:
            self.seconds, self.how = given, "given"
        else:
            self.seconds = max(LEAST_BOUND, _rounded_up(batches * batch_seconds))
            self.how = f"{batches:g} times the median of MultiStream, at least {1e3 * LEAST_BOUND:g} ms"


def measure_server(
    generator: Generator, offline_rate: float, bound: Bound, effort: Effort, folder: Path, on_step: OnStep
) -> Result:
    """Search, confirm, check, and measure the system that makes nothing at the same rate.

    Args:
        generator: opened with one plan.
        offline_rate: samples a second, from which the range of the search follows.
        bound: of the latency.
        effort: how long.
        folder: for the logs, one folder a run.
        on_step: called with a few words before each step.
    """
    with Batcher(generator, max_queue=QUEUE) as batcher:
        trials = _Trials(Batched(batcher), bound, effort, folder, on_step)
        rate = highest(trials.step, CEILING * offline_rate, effort.search_steps)
        last = trials.confirm(rate)
        check = check_responses(last.log, expecting(generator, min(batcher.buckets)))
    null = InTurn(nothing(generator, 1), 1)
    idle = run(null, SERVER.name, server_null_settings(last.rate, bound.seconds), folder / "null")
    search = Search(bound.seconds, bound.how, _how(effort), trials.all)
    return Result(SERVER, last.log, last.logs, 1e3 * idle.latency_ms("")["mean"], check, generator.plan, search)


class _Trials:
    """Runs at different rates, each with a folder of its own."""

    def __init__(self, system: Batched, bound: Bound, effort: Effort, folder: Path, on_step: OnStep) -> None:
        self._system, self._bound, self._effort = system, bound, effort
        self._folder, self._on_step = folder, on_step
        self.all: list[Trial] = []

    def step(self, rate: float) -> bool:
        """Whether a short run keeps the bound, or a second one: another program may have held up the first."""
        runs = (self._try(rate, self._effort.search_seconds, is_confirmation=False) for _ in range(2))
        return any(trial.log.keeps_bound for trial in runs)

    def confirm(self, rate: float) -> Trial:
        """Runs of full length at lower and lower rates, until one keeps the bound; the last one."""
        for _ in range(self._effort.confirmations):
            trial = self._try(rate, self._effort.limit_seconds, is_confirmation=True)
            if trial.log.keeps_bound:
                break
            rate *= BACK_OFF
        return trial

    def _try(self, rate: float, limit_seconds: float | None, *, is_confirmation: bool) -> Trial:
        self._on_step(f"LoadGen, Server at {rate:,.0f} queries a second")
        name = f"{len(self.all) + 1:02}-{rate:.0f}-a-second"
        limit = None if limit_seconds is None else _long_enough(limit_seconds, rate)
        settings = server_settings(rate, self._bound.seconds, limit, self._effort)
        log = run(self._system, SERVER.name, settings, self._folder / name)
        trial = Trial(rate, log, f"{SERVER.name}/{name}", is_confirmation)
        self.all.append(trial)
        return trial


def _long_enough(seconds: float, rate: float) -> float:
    """As many seconds as enough queries take, but none beyond LoadGen's minimum."""
    return min(max(seconds, ENOUGH_QUERIES / rate), minimum_seconds())


def _how(effort: Effort) -> str:
    return (
        f"{effort.search_steps} halvings from 0 to {CEILING:g} times the Offline throughput, "
        f"{effort.search_seconds:g} s and about {ENOUGH_QUERIES} queries each, once more where it fails; "
        f"then runs of full length, each at {BACK_OFF:.0%} of the rate before, until one keeps the bound, "
        f"{effort.confirmations} at most"
    )


def _rounded_up(seconds: float) -> float:
    """To two digits, so that two runs on one machine mostly have the same bound."""
    digit = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return math.ceil(seconds / digit - 1e-9) * digit
