"""The scenarios of `servers.py`: many clients, one client, three times the capacity, memory over many requests.

Each gives figures with their thresholds; many clients and the overload give rows of the document too.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from ganport_bench.client.loops import closed_loop, open_loop, poisson, slowness
from ganport_bench.client.outcome import OK, REFUSED, Outcome, nothing
from ganport_bench.errors import BenchError
from ganport_bench.figures import Figure
from ganport_bench.load.servers import GANPORT, StartedServer
from ganport_bench.timing import Estimate, Seconds, System, difference, interleave, median, ratio
from script import at_most
from server_setup import CLIENTS, GRPC, HTTP, LITSERVE, GeneratorCalls, Setup, awake, cpu_seconds, resident_bytes

PLANS = ("auto", "fp32")  # as tuned, and exact
PERCENTILES = (50, 90, 99)
OFFLINE, BARE = "offline", "bare"

# Thresholds, by plan where they differ. None: the figure is only shown.
SHARE_PERCENT = {"fp32": 85.0}  # as tuned two cores cannot show more: client, server and engine share them
OVER_LITSERVE = {"auto": 2.5, "fp32": 1.5}
OVER_OTHERS = 1.0
P99_OVER_BASELINE = 1.0
ADDED_MS = 1.5
TIMES = 3.0  # of the capacity
KEPT_PERCENT = {"fp32": 85.0}
REFUSED_MS = 30.0
GROWTH_PERCENT = 5.0

WARMUP = 1  # rounds that do not count
PAUSE = 0.1  # seconds before a turn: engines' threads spin for a while after their work
MORE_CLIENTS = 4 * CLIENTS  # in case a server's capacity needs more of them
SPARE_CONNECTIONS = 512  # beyond those whose requests may wait: refusals are in flight too
LEAD_SECONDS = 1.0  # of an overload, until the queue is full
SAMPLE_SECONDS = 0.1  # between two samples of memory
MILLI, MICRO = 1e3, 1e6

Row = dict[str, Any]


@dataclass(frozen=True)
class ServersEffort:
    """How long everything is measured."""

    rounds: int = 4  # turns of every system with many clients that count
    turn_seconds: float = 1.3  # of one turn
    lead_seconds: float = 0.3  # at its beginning that do not count, while caches and threads get warm again
    single_rounds: int = 7  # turns with one client
    single_seconds: float = 0.3  # of one of them
    peak_seconds: float = 2.0  # for each measurement of a server's capacity
    overload_seconds: float = 30.0  # of three times its capacity
    requests: int = 200_000  # in a row while memory is sampled
    known: int = 64  # seeds whose images are compared
    plans: tuple[str, ...] = PLANS  # precisions that are asked for
    tuning_seconds: float = 100.0  # for a bundle that has no record on this machine


FULL = ServersEffort()
QUICK = ServersEffort(2, 0.7, 0.2, 2, 0.2, 0.6, 3.0, 5_000, 32, ("auto",), 30.0)


def _called(asked: str) -> str:
    return "as tuned" if asked == "auto" else asked


def _details(**estimates: Estimate) -> dict[str, float]:
    return {name: round(estimate.value, 2) for name, estimate in estimates.items()}


# --- many clients


class ServerTurns:
    """A system of `interleave`: loads a server, returns the seconds of an image, keeps every turn.

    Of each turn the seconds from `begin` to `end` count.
    """

    def __init__(
        self, server: StartedServer, protocol: str, load: Callable[[], Outcome], begin: float, end: float
    ) -> None:
        self.server, self.protocol = server, protocol
        self.name = server.name if protocol == HTTP else f"{server.name}, {protocol}"
        self._load, self._begin, self._end = load, begin, end
        self.outcomes: list[Outcome] = []
        self._cpu: list[float] = []

    def __call__(self) -> float:
        """One turn; seconds of an image, infinite if none came."""
        with awake(self.server.pid):
            before = cpu_seconds(self.server.pid)
            try:
                outcome = self._load()
            except BenchError as error:  # of one server; the others go on
                outcome = nothing(str(error))
            self.outcomes.append(outcome)
            self._cpu.append(cpu_seconds(self.server.pid) - before)
        rate = outcome.rate(self._begin, self._end)
        return 1 / rate if rate else float("inf")

    @property
    def counted(self) -> list[Outcome]:
        """The outcomes of the rounds that count."""
        return self.outcomes[WARMUP:]

    def percentile(self, percent: float) -> Seconds:
        """Of each round's latencies, seconds, float64 [rounds]; infinite without answers."""
        latencies = [one.latencies(OK, begin=self._begin, end=self._end) for one in self.counted]
        return np.array([np.percentile(each, percent) if len(each) else np.inf for each in latencies])

    def server_us(self) -> Seconds:
        """CPU microseconds of the server's processes for a request, float64 [rounds]."""
        pairs = zip(self._cpu[WARMUP:], self.counted, strict=True)
        return np.array([MICRO * cpu / max(1, outcome.requests) for cpu, outcome in pairs])

    def client_us(self) -> float:
        """CPU microseconds of the client for a request."""
        return MICRO * sum(one.cpu_seconds for one in self.counted) / max(1, sum(one.requests for one in self.counted))

    @property
    def faults(self) -> str:
        """What was lost, refused or wrong in any round, or empty."""
        refused = sum(count for one in self.counted for status, count in one.statuses().items() if status != OK)
        texts = [one.faults() for one in self.counted] + ([f"{refused:,} x refused"] if refused else [])
        return "; ".join(dict.fromkeys(text for text in texts if text))


class ClientsScenario:
    """64 closed-loop clients on every server, and the generator alone at its top bucket, in interleaved rounds."""

    def __init__(self, setup: Setup, effort: ServersEffort) -> None:
        self._asked, self._plan, self._calls = setup.asked, setup.plan, list[GeneratorCalls]()
        self._precision = setup.precision
        lead, seconds = effort.lead_seconds, effort.turn_seconds

        def alone() -> float:
            self._calls.append(setup.sample(seconds - lead))
            return self._calls[-1].seconds_per_image

        turns = [
            ServerTurns(server, protocol, partial(setup.load, server, protocol, CLIENTS, seconds), lead, seconds)
            for server in setup.servers.values()
            for protocol in ([HTTP, GRPC] if server.grpc else [HTTP])
        ]
        systems: dict[str, System] = {OFFLINE: alone, **{one.name: one for one in turns}}
        self._seconds = interleave(systems, rounds=effort.rounds, warmup=WARMUP, pause=PAUSE)
        self._served = {one.name: one for one in turns if np.all(np.isfinite(self._seconds[one.name]))}
        self.missing = dict(setup.missing)
        for one in turns:
            if one.name not in self._served:
                self.missing[one.name] = f"it answered nothing in a whole turn: {one.faults or 'no reason is known'}"
        self._offline_us = np.array([one.cpu_us for one in self._calls[WARMUP:]])  # of an image, float64 [rounds]

    def rows(self) -> Iterator[Row]:
        """The generator alone, then every server that answered in every turn."""
        plan = {"asked": self._asked, "plan": self._plan, "precision": self._precision}
        yield {
            "scenario": "offline",
            "system": "Generator.sample",
            **plan,
            **_rate(self._seconds[OFFLINE]),
            "batch_ms": MILLI * float(np.median(np.concatenate([one.seconds for one in self._calls[WARMUP:]]))),
            "cpu_us": {"client": float(np.mean(self._offline_us))},
        }
        for name, turns in self._served.items():
            yield {
                "scenario": "clients",
                "system": turns.server.name,
                "protocol": turns.protocol,
                **plan,
                **_rate(self._seconds[name]),
                "latency_ms": {f"p{one}": MILLI * median(turns.percentile(one)).value for one in PERCENTILES},
                "share_of_offline": asdict(ratio(self._seconds[OFFLINE], self._seconds[name])),
                "cpu_us": {"client": turns.client_us(), "server": median(turns.server_us()).value},
                "own_cpu_us": asdict(self._own_cpu(turns)),
                "requests": sum(one.requests for one in turns.counted),
                "checked": sum(one.checked for one in turns.counted),
                "correct": not turns.faults,
                "settings": dict(turns.server.settings),
                "note": turns.faults,
            }

    def _own_cpu(self, turns: ServerTurns) -> Estimate:
        """Microseconds of a request that are not the generator's: the server's CPU less that of an image alone."""
        return difference(turns.server_us(), self._offline_us)

    def figures(self, baselines: Sequence[str]) -> Iterator[Figure]:
        """Ganport's server beside the generator alone and beside each baseline, and the own CPU of each server."""
        asked, title = self._asked, f"{CLIENTS} clients, {_called(self._asked)}: {{}}"
        ours = self._served.get(GANPORT)
        faults = self.missing[GANPORT] if ours is None else ours.faults
        kept, rates = None, dict[str, float]()
        if ours is not None:
            seconds, alone = self._seconds[GANPORT], self._seconds[OFFLINE]
            rates = _details(served=median(1 / seconds), offline=median(1 / alone))
            kept = None if faults else ratio(alone, seconds).scaled(100)  # a fast wrong answer is worth nothing
        name, what = f"clients_share_{asked}", title.format("share of the images/s without a server")
        yield Figure(name, what, "%", kept, SHARE_PERCENT.get(asked), details=rates, note=faults)
        for baseline in baselines:
            yield from self._over(None if faults else ours, baseline, title)
        for name, turns in self._served.items():
            own = f"clients_own_cpu_{_key(name)}_{asked}", title.format(f"own CPU of {name} for a request"), "us"
            details = _details(server_us=median(turns.server_us()), offline_us=median(self._offline_us))
            yield at_most(*own, self._own_cpu(turns), None, details=details, note=turns.faults)

    def _over(self, ours: ServerTurns | None, baseline: str, title: str) -> Iterator[Figure]:
        asked, other, why = self._asked, self._served.get(baseline), self.missing.get(baseline, "")
        speed = p99 = None
        if ours is not None and other is not None:
            speed = ratio(self._seconds[baseline], self._seconds[GANPORT])
            p99 = ratio(ours.percentile(99), other.percentile(99))
        wanted = OVER_LITSERVE[asked] if baseline == LITSERVE and asked in OVER_LITSERVE else OVER_OTHERS
        name = f"clients_rate_over_{_key(baseline)}_{asked}"
        yield Figure(name, title.format(f"images/s over {baseline}'s"), "x", speed, wanted, note=why)
        name = f"clients_p99_over_{_key(baseline)}_{asked}"
        yield at_most(name, title.format(f"p99 over {baseline}'s"), "x", p99, P99_OVER_BASELINE, note=why)


def _rate(seconds: Seconds) -> Row:
    rate = median(1 / seconds)
    return {"images_per_second": rate.value, "low": rate.low, "high": rate.high}


def _key(system: str) -> str:
    """A system's name in names of figures: `ganport_serve`, `ganport_serve_grpc`, `litserve`, `triton`."""
    return "_".join(system.lower().replace(", python backend", "").replace(",", "").split())


# --- one client


def one_client(setup: Setup, effort: ServersEffort) -> list[Figure]:
    """Ask ganport's server for one image after another, and the generator alone, in turns."""
    outcomes: list[Outcome] = []
    server, seconds = setup.ganport, effort.single_seconds

    def bare() -> float:
        return float(np.median(setup.sample(seconds, 1).seconds))

    def asked(protocol: str) -> float:
        with awake(server.pid):
            outcome = setup.load(server, protocol, 1, seconds)
        outcomes.append(outcome)
        latencies = outcome.latencies(OK, begin=seconds / 10)
        if not len(latencies):  # one answer takes longer than the turn
            latencies = outcome.latencies(OK)
        if not len(latencies):
            raise BenchError(f"{server.name} gave one client no image by {protocol}: {outcome.faults() or 'refused'}")
        return float(np.median(latencies))

    protocols = [HTTP, GRPC] if server.grpc else [HTTP]
    systems: dict[str, System] = {BARE: bare, **{how: partial(asked, how) for how in protocols}}
    taken = interleave(systems, rounds=effort.single_rounds, warmup=WARMUP, pause=PAUSE)
    faults = "; ".join(dict.fromkeys(one.faults() for one in outcomes if not one.is_right))
    return one_client_figures(setup.asked, taken, faults)


def one_client_figures(asked: str, seconds: Mapping[str, Seconds], faults: str) -> list[Figure]:
    """From medians of turns: of `sample(1)` as `bare`, of a request by protocol, float64 [rounds]."""
    figures, bare = [], seconds[BARE]
    for protocol in [name for name in seconds if name != BARE]:
        added = None if faults else difference(seconds[protocol], bare).scaled(MILLI)
        details = _details(bare_ms=median(bare).scaled(MILLI), request_ms=median(seconds[protocol]).scaled(MILLI))
        title = f"one client, {_called(asked)}, {protocol}: added to the bare call"
        name = f"one_client_added_{protocol.lower()}_{asked}"
        figures.append(at_most(name, title, "ms", added, ADDED_MS, details=details, note=faults))
    return figures


# --- overload


@dataclass(frozen=True)
class Overload:
    """A server at three times its capacity."""

    asked: str  # the precision
    peaks: Mapping[int, Sequence[float]]  # images a second in closed loops before and after, by the number of clients
    offered: float  # requests a second
    outcome: Outcome  # of the load
    seconds: float  # for how long requests were due

    @property
    def peak(self) -> float:
        """Images a second with the number of clients that does best, as the mean of before and after.

        The best single measurement would be the luckiest one: 10 % above the usual on a machine that others share.
        """
        return max(float(np.mean(rates)) for rates in self.peaks.values())

    @property
    def images_per_second(self) -> Estimate:
        """The median over the seconds after the queue is full."""
        begins = [LEAD_SECONDS + at for at in range(int(self.seconds - LEAD_SECONDS))]
        return median(np.array([self.outcome.rate(begin, begin + 1) for begin in begins]))

    @property
    def lost(self) -> int:
        """Requests without exactly one answer, and answers that are neither an image nor a refusal."""
        strange = sum(count for status, count in self.outcome.statuses().items() if status not in (OK, *REFUSED))
        return sum(self.outcome.lost.values()) + sum(self.outcome.wrong.values()) + strange

    def row(self) -> Row:
        """Its row of the document."""
        outcome, slow = self.outcome, slowness(self.outcome)
        return {
            "scenario": "overload",
            "asked": self.asked,
            "offered_per_second": self.offered,
            "images_per_second": self.images_per_second.value,
            "peak": self.peak,
            "answers": {str(status): count for status, count in outcome.statuses().items()},
            "requests": outcome.requests,
            "lost": self.lost,
            "accepted_ms": _percentiles(outcome.latencies(OK)),
            "refused_ms": _percentiles(outcome.latencies(*REFUSED)),
            "late_ms": _percentiles(outcome.lag()),
            "correct": not slow and self.lost == 0,
            "note": "; ".join(text for text in (slow, outcome.faults()) if text),
        }

    def figures(self) -> Iterator[Figure]:
        """What it kept of its peak, what was lost, how quick refusals were."""
        asked, title = self.asked, f"{TIMES:g} times the capacity, {_called(self.asked)}: {{}}"
        slow = "the load generator fell behind its schedule" if slowness(self.outcome) else ""
        kept = self.images_per_second.scaled(100 / self.peak)
        details: dict[str, Any] = {"peak": round(self.peak, 1), "offered": round(self.offered, 1)}
        name, what, wanted = f"overload_kept_{asked}", title.format("images/s of the peak"), KEPT_PERCENT.get(asked)
        yield Figure(name, what, "%", kept, wanted, details=details, note=slow, is_void=bool(slow))
        name, what = f"overload_lost_{asked}", title.format("requests without exactly one right answer")
        yield at_most(name, what, "", _single(self.lost), 0, note=self.outcome.faults())
        refused = MILLI * self.outcome.latencies(*REFUSED)
        p99 = _single(float(np.percentile(refused, 99))) if len(refused) else None
        details = {"max_ms": round(float(np.max(refused, initial=0.0)), 1), "refused": len(refused)}
        note = slow or ("" if len(refused) else "nothing was refused")
        name, what = f"overload_refused_p99_{asked}", title.format("p99 of refusals")
        yield at_most(name, what, "ms", p99, REFUSED_MS, details=details, note=note, is_void=bool(slow))


def _single(value: float) -> Estimate:
    return Estimate(value, value, value)


def _percentiles(seconds: Seconds) -> dict[str, float] | None:
    if not len(seconds):
        return None
    values = {f"p{one}": MILLI * float(np.percentile(seconds, one)) for one in PERCENTILES}
    return {**values, "max": MILLI * float(seconds.max())}


def measure_overload(setup: Setup, effort: ServersEffort, max_queue: int) -> Overload:
    """Measure the capacity of ganport's server, offer three times as much, and measure the capacity again."""
    server = setup.ganport
    with awake(server.pid):
        before = {clients: _peak(setup, effort, clients) for clients in (CLIENTS, MORE_CLIENTS)}
        offered = TIMES * max(before.values())
        due = poisson(offered, effort.overload_seconds)
        connections = max_queue + SPARE_CONNECTIONS
        outcome = setup.client(open_loop, server.endpoint, setup.golden, due, connections=connections)
        peaks = {clients: (rate, _peak(setup, effort, clients)) for clients, rate in before.items()}
    return Overload(setup.asked, peaks, offered, outcome, effort.overload_seconds)


def _peak(setup: Setup, effort: ServersEffort, clients: int) -> float:
    seconds = effort.lead_seconds + effort.peak_seconds
    outcome = setup.load(setup.ganport, HTTP, clients, seconds)
    rate = outcome.rate(effort.lead_seconds, seconds)
    if rate == 0:  # a batch takes longer than that
        rate = len(outcome.latencies(OK)) / outcome.seconds
    if rate == 0:
        raise BenchError(f"{GANPORT} gave {clients} clients no image: {outcome.faults() or 'all were refused'}")
    return rate


# --- memory


def memory(setup: Setup, requests: int) -> Figure:
    """Resident memory of ganport's server while 64 clients send that many requests."""
    server, samples = setup.ganport, list[float]()
    with awake(server.pid):
        load = setup.client.begin(closed_loop, server.endpoint, setup.golden, clients=CLIENTS, requests=requests)
        begun = time.monotonic()
        while not load.done() or len(samples) < 10:
            samples.append(resident_bytes(server.pid))
            wait([load], SAMPLE_SECONDS - (time.monotonic() - begun) % SAMPLE_SECONDS)
        outcome = setup.client.result(load)
    return memory_figure(setup.asked, outcome, np.array(samples))


def memory_figure(asked: str, outcome: Outcome, resident: Seconds) -> Figure:
    """From samples in bytes: the last tenth of the time against the second one."""
    tenths = [float(np.median(part)) for part in np.array_split(resident, 10)]
    warm, last = tenths[1], tenths[-1]
    growth = _single(100 * abs(last / warm - 1)) if outcome.is_right else None
    title = f"{outcome.requests:,} requests in a row, {_called(asked)}: change of resident memory"
    details = {"warm_mib": round(warm / 2**20, 1), "last_mib": round(last / 2**20, 1)}
    name, note = f"memory_growth_{asked}", outcome.faults()
    return at_most(name, title, "%", growth, GROWTH_PERCENT, details=details, note=note)
