"""The scenarios of `servers.py`: many clients, one client, three times the capacity, memory over many requests.

Each gives rows of the document and figures with their thresholds.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import wait
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import server_setup
from ganport_bench.client.grpc import grpc_loop
from ganport_bench.client.loops import closed_loop, open_loop, poisson, slowness
from ganport_bench.client.outcome import OK, REFUSED, Outcome, nothing
from ganport_bench.errors import BenchError
from ganport_bench.figures import Figure
from ganport_bench.load.servers import GANPORT, StartedServer
from ganport_bench.timing import Estimate, Seconds, System, difference, interleave, median, ratio
from ganport_runtime.batches import TOP
from server_setup import CLIENTS, GRPC, HTTP, Cpu, GeneratorCalls, Setup, awake, cpu_of

PLANS = ("auto", "fp32")  # as tuned, and exact
PERCENTILES = (50, 90, 99)
OFFLINE, BARE = "offline", "bare"

# Thresholds, by plan where they differ. None: the figure is only shown.
SHARE_PERCENT = {"fp32": 85.0}  # as tuned two cores cannot show more: client, server and engine share them
OVER_LITSERVE = {"auto": 2.5, "fp32": 1.5}
OVER_OTHERS = 1.0
P99_BATCHES = 2.5
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
QUICK = ServersEffort(
    rounds=2,
    turn_seconds=0.7,
    lead_seconds=0.2,
    single_rounds=2,
    single_seconds=0.2,
    peak_seconds=0.6,
    overload_seconds=3.0,
    requests=5_000,
    known=32,
    plans=("auto",),
    tuning_seconds=30.0,
)


def _called(asked: str) -> str:
    return "as tuned" if asked == "auto" else asked


def _details(**estimates: Estimate) -> dict[str, float]:
    return {name: round(estimate.value, 2) for name, estimate in estimates.items()}


def _at_most(name: str, title: str, unit: str, estimate: Estimate | None, wanted: float, **more: Any) -> Figure:
    return Figure(name, title, unit, estimate, wanted, is_floor=False, **more)


# --- many clients


class ServerTurns:
    """A system of `interleave`: loads a server, returns the seconds of an image, keeps every turn.

    Of each turn the seconds from `begin` to `end` count.
    """

    def __init__(
        self, server: StartedServer, protocol: str, load: Callable[[], Outcome], begin: float, end: float
    ) -> None:
        self.server, self.protocol = server, protocol
        self._load, self._begin, self._end = load, begin, end
        self.outcomes: list[Outcome] = []
        self._cpu: list[Cpu] = []

    def __call__(self) -> float:
        """One turn; seconds of an image, infinite if none came."""
        with awake(self.server.pid):
            before = cpu_of(self.server.pid)
            try:
                outcome = self._load()
            except BenchError as error:  # of one server; the others go on
                outcome = nothing(str(error))
            self.outcomes.append(outcome)
            self._cpu.append(cpu_of(self.server.pid) - before)
        rate = outcome.rate(self._begin, self._end)
        return 1 / rate if rate else float("inf")

    @property
    def counted(self) -> list[Outcome]:
        """The outcomes of the rounds that count."""
        return self.outcomes[WARMUP:]

    @property
    def name(self) -> str:
        """Of the system under this protocol."""
        return self.server.name if self.protocol == HTTP else f"{self.server.name}, {self.protocol}"

    def percentile(self, percent: float) -> Seconds:
        """Of each round's latencies, seconds, float64 [rounds]; infinite without answers."""
        latencies = [one.latencies(OK, begin=self._begin, end=self._end) for one in self.counted]
        return np.array([np.percentile(each, percent) if len(each) else np.inf for each in latencies])

    def server_us(self) -> Seconds:
        """CPU microseconds of the server's processes for a request, float64 [rounds]."""
        pairs = zip(self._cpu[WARMUP:], self.counted, strict=True)
        return np.array([MICRO * cpu.total / max(1, outcome.requests) for cpu, outcome in pairs])

    def cpu_us(self) -> dict[str, float]:
        """CPU microseconds of a request: of the client, of the server's processes, of the server's first thread."""
        requests = max(1, sum(one.requests for one in self.counted))
        return {
            "client": MICRO * sum(one.cpu_seconds for one in self.counted) / requests,
            "server": MICRO * sum(cpu.total for cpu in self._cpu[WARMUP:]) / requests,
            "loop": MICRO * sum(cpu.loop for cpu in self._cpu[WARMUP:]) / requests,
        }

    @property
    def faults(self) -> str:
        """What was lost, refused or wrong in any round, or empty."""
        refused = sum(count for one in self.counted for status, count in one.statuses().items() if status != OK)
        texts = [one.faults() for one in self.counted] + ([f"{refused:,} x refused"] if refused else [])
        return "; ".join(dict.fromkeys(text for text in texts if text))


class OfflineTurns:
    """A system of `interleave`: the generator at its top bucket without a server; keeps every turn."""

    def __init__(self, setup: Setup, seconds: float) -> None:
        self._offline, self._seconds = setup.offline, seconds
        self._turns: list[GeneratorCalls] = []

    def __call__(self) -> float:
        """One turn; seconds of an image."""
        self._turns.append(self._offline.calls(self._seconds))
        return 1 / self._turns[-1].images_per_second

    @property
    def counted(self) -> list[GeneratorCalls]:
        """The rounds that count."""
        return self._turns[WARMUP:]

    def cpu_us(self) -> Seconds:
        """CPU microseconds of an image, float64 [rounds]."""
        return np.array([one.cpu_us for one in self.counted])

    def batch_seconds(self) -> Seconds:
        """Of one call, the median of each round."""
        return np.array([np.median(one.seconds) for one in self.counted])


class ClientsScenario:
    """64 closed-loop clients on every server, and the generator alone, in interleaved rounds."""

    def __init__(self, setup: Setup, effort: ServersEffort) -> None:
        self._asked, self._offline = setup.asked, setup.offline
        self._alone = OfflineTurns(setup, effort.turn_seconds - effort.lead_seconds)
        turns = {one.name: one for server in setup.servers.values() for one in self._turns(setup, server, effort)}
        systems: dict[str, System] = {OFFLINE: self._alone, **turns}
        self._seconds = interleave(systems, rounds=effort.rounds, warmup=WARMUP, pause=PAUSE)
        self._served = {name: one for name, one in turns.items() if np.all(np.isfinite(self._seconds[name]))}
        silent = {
            name: f"it answered nothing in a whole turn: {one.faults or 'no reason is known'}"
            for name, one in turns.items()
            if name not in self._served
        }
        self.missing = {**setup.missing, **silent}

    @staticmethod
    def _turns(setup: Setup, server: StartedServer, effort: ServersEffort) -> Iterator[ServerTurns]:
        begin, seconds = effort.lead_seconds, effort.turn_seconds
        http = partial(setup.client, closed_loop, server.endpoint, setup.golden, clients=CLIENTS, seconds=seconds)
        yield ServerTurns(server, HTTP, http, begin, seconds)
        if server.grpc is not None:
            grpc = partial(setup.client, grpc_loop, server.grpc, setup.golden, clients=CLIENTS, seconds=seconds)
            yield ServerTurns(server, GRPC, grpc, begin, seconds)

    def rows(self) -> Iterator[dict[str, Any]]:
        """The generator alone, then every server that answered in every turn."""
        alone = median(1 / self._seconds[OFFLINE])
        yield {
            "scenario": "offline",
            "system": "Generator.sample",
            "asked": self._asked,
            "plan": self._offline.plan,
            "precision": self._offline.precision,
            "images_per_second": alone.value,
            "low": alone.low,
            "high": alone.high,
            "batch_ms": asdict(median(self._alone.batch_seconds()).scaled(MILLI)),
            "cpu_us": {"client": float(np.mean(self._alone.cpu_us())), "server": 0.0, "loop": 0.0},
        }
        for name, turns in self._served.items():
            rate = median(1 / self._seconds[name])
            yield {
                "scenario": "clients",
                "system": turns.server.name,
                "protocol": turns.protocol,
                "asked": self._asked,
                "plan": turns.server.plan,
                "precision": self._offline.precision,
                "images_per_second": rate.value,
                "low": rate.low,
                "high": rate.high,
                "latency_ms": {f"p{one}": MILLI * median(turns.percentile(one)).value for one in PERCENTILES},
                "share_of_offline": asdict(ratio(self._seconds[OFFLINE], self._seconds[name])),
                "cpu_us": turns.cpu_us(),
                "own_cpu_us": asdict(self._own_cpu(turns)),
                "requests": sum(one.requests for one in turns.counted),
                "checked": sum(one.checked for one in turns.counted),
                "correct": not turns.faults,
                "settings": dict(turns.server.settings),
                "note": turns.faults,
            }

    def _own_cpu(self, turns: ServerTurns) -> Estimate:
        """Microseconds of a request that are not the generator's: the server's CPU less that of an image alone."""
        return difference(turns.server_us(), self._alone.cpu_us())

    def figures(self, baselines: Sequence[str]) -> Iterator[Figure]:
        """Ganport's server beside the generator alone and beside each baseline."""
        asked, title = self._asked, f"{CLIENTS} clients, {_called(self._asked)}: {{}}"
        share = (f"clients_share_{asked}", title.format("share of the images/s without a server"), "%")
        p99 = (f"clients_p99_{asked}", title.format("p99 over a batch's time"), "batches")
        wanted, ours = SHARE_PERCENT.get(asked), self._served.get(GANPORT)
        if ours is None:
            yield Figure(*share, None, wanted, note=self.missing[GANPORT])
            yield _at_most(*p99, None, P99_BATCHES, note=self.missing[GANPORT])
            return
        seconds, alone, faults = self._seconds[GANPORT], self._seconds[OFFLINE], ours.faults
        rates = _details(served=median(1 / seconds), offline=median(1 / alone))
        kept = None if faults else ratio(alone, seconds).scaled(100)  # a fast wrong answer is worth nothing
        yield Figure(*share, kept, wanted, details=rates, note=faults)
        batch, latency = self._alone.batch_seconds(), ours.percentile(99)
        times = _details(p99_ms=median(latency).scaled(MILLI), batch_ms=median(batch).scaled(MILLI))
        longest = None if faults else ratio(latency, batch)
        yield _at_most(*p99, longest, P99_BATCHES, details=times, note=faults)
        for name in baselines:
            yield from self._over(ours, name, title)
        for name, turns in self._served.items():
            own = f"clients_own_cpu_{_key(name)}_{asked}", title.format(f"own CPU of {name} for a request"), "us"
            details = _details(server_us=median(turns.server_us()), offline_us=median(self._alone.cpu_us()))
            yield Figure(*own, self._own_cpu(turns), is_floor=False, details=details, note=turns.faults)

    def _over(self, ours: ServerTurns, baseline: str, title: str) -> Iterator[Figure]:
        asked, other, why = self._asked, self._served.get(baseline), self.missing.get(baseline, "")
        is_measured = other is not None and not ours.faults
        speed = ratio(self._seconds[baseline], self._seconds[GANPORT]) if is_measured else None
        p99 = ratio(ours.percentile(99), other.percentile(99)) if other is not None and is_measured else None
        key = _key(baseline)
        wanted = OVER_LITSERVE[asked] if baseline == server_setup.LITSERVE and asked in OVER_LITSERVE else OVER_OTHERS
        name = f"clients_rate_over_{key}_{asked}"
        yield Figure(name, title.format(f"images/s over {baseline}'s"), "x", speed, wanted, note=why)
        name = f"clients_p99_over_{key}_{asked}"
        yield _at_most(name, title.format(f"p99 over {baseline}'s"), "x", p99, P99_OVER_BASELINE, note=why)


def _key(system: str) -> str:
    """A system's name in names of figures: `ganport_serve`, `ganport_serve_grpc`, `litserve`, `triton`."""
    words = system.lower().replace(", python backend", "").replace(",", "").split()
    return "_".join(words)


# --- one client


def one_client(setup: Setup, effort: ServersEffort) -> tuple[list[dict[str, Any]], list[Figure]]:
    """Ask ganport's server for one image after another, and the generator alone, in turns.

    Raises:
        BenchError: the server gave no image in a whole turn.
    """
    outcomes: list[Outcome] = []
    server, seconds = setup.ganport, effort.single_seconds

    def bare() -> float:
        return float(np.median(setup.offline.calls(seconds, 1).seconds))

    def asked(protocol: str) -> float:
        with awake(server.pid):
            if protocol == HTTP:
                outcome = setup.client(closed_loop, server.endpoint, setup.golden, clients=1, seconds=seconds)
            else:
                outcome = setup.client(grpc_loop, str(server.grpc), setup.golden, clients=1, seconds=seconds)
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
    return one_client_found(setup.asked, taken, faults)


def one_client_found(
    asked: str, seconds: Mapping[str, Seconds], faults: str
) -> tuple[list[dict[str, Any]], list[Figure]]:
    """Rows and figures from medians of turns: of `sample(1)` as `bare`, of a request by protocol, float64 [rounds]."""
    rows, figures = [], []
    bare = median(seconds[BARE]).scaled(MILLI)
    for protocol, taken in seconds.items():
        if protocol == BARE:
            continue
        added, request = difference(taken, seconds[BARE]).scaled(MILLI), median(taken).scaled(MILLI)
        row = {"scenario": "one client", "system": GANPORT, "protocol": protocol, "asked": asked}
        times = {"bare_ms": asdict(bare), "request_ms": asdict(request), "added_ms": asdict(added)}
        rows.append({**row, **times, "correct": not faults, "note": faults})
        title = f"one client, {_called(asked)}, {protocol}: added to the bare call"
        name, details = f"one_client_added_{protocol.lower()}_{asked}", _details(bare_ms=bare, request_ms=request)
        found = None if faults else added
        figures.append(_at_most(name, title, "ms", found, ADDED_MS, details=details, note=faults))
    return rows, figures


# --- overload


@dataclass(frozen=True)
class Overload:
    """A server at three times its capacity."""

    asked: str  # the precision
    server: StartedServer  # the server
    peaks: Mapping[int, Sequence[float]]  # images a second in closed loops before and after, by the number of clients
    offered: float  # requests a second
    max_queue: int  # images that may wait in the server
    outcome: Outcome  # of the load
    cpu: Cpu  # that the server used meanwhile
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
        complete = int(self.seconds - LEAD_SECONDS)
        rates = [self.outcome.rate(LEAD_SECONDS + at, LEAD_SECONDS + at + 1) for at in range(complete)]
        return median(np.array(rates))

    @property
    def passed(self) -> Seconds:
        """Images that were answered while each accepted request waited, its own included, from when it was due.

        The queue bounds this number; the seconds follow from it and from the machine's speed meanwhile.
        """
        good = self.outcome.status == OK
        answered = np.sort(self.outcome.answered[good])
        until = np.searchsorted(answered, self.outcome.answered[good], side="right")
        return np.asarray(until - np.searchsorted(answered, self.outcome.due[good], side="right"), np.float64)

    @property
    def bound(self) -> int:
        """The most images that may pass: a full queue, the batch that runs, one more on the way to the queue."""
        return self.max_queue + 2 * TOP

    @property
    def lost(self) -> int:
        """Requests without exactly one answer, and answers that are neither an image nor a refusal."""
        strange = sum(count for status, count in self.outcome.statuses().items() if status not in (OK, *REFUSED))
        return sum(self.outcome.lost.values()) + sum(self.outcome.wrong.values()) + strange

    def row(self) -> dict[str, Any]:
        """Its row of the document."""
        rate, outcome, passed, slow = self.images_per_second, self.outcome, self.passed, slowness(self.outcome)
        return {
            "scenario": "overload",
            "system": self.server.name,
            "asked": self.asked,
            "plan": self.server.plan,
            "offered_per_second": self.offered,
            "seconds": self.seconds,
            "images_per_second": rate.value,
            "low": rate.low,
            "high": rate.high,
            "peak": self.peak,
            "peaks": {str(clients): list(rates) for clients, rates in self.peaks.items()},
            "answers": {str(status): count for status, count in outcome.statuses().items()},
            "requests": outcome.requests,
            "lost": self.lost,
            "accepted_ms": _percentiles(outcome.latencies(OK)),
            "passed_p99": float(np.percentile(passed, 99)) if len(passed) else None,
            "bound": self.bound,
            "refused_ms": _percentiles(outcome.latencies(*REFUSED)),
            "late_ms": _percentiles(outcome.lag()),
            "cpu_us": {"client": MICRO * outcome.cpu_seconds / max(1, outcome.requests)},
            "cores": {
                "client": outcome.cpu_seconds / outcome.seconds,
                "server": self.cpu.total / outcome.seconds,
                "loop": self.cpu.loop / outcome.seconds,
            },
            "checked": outcome.checked,
            "correct": not slow and self.lost == 0,
            "note": "; ".join(text for text in (slow, outcome.faults()) if text),
        }

    def figures(self) -> Iterator[Figure]:
        """What it kept of its peak, how long the accepted waited, what was lost, how quick refusals were."""
        asked, title = self.asked, f"{TIMES:g} times the capacity, {_called(self.asked)}: {{}}"
        slow = "the load generator fell behind its schedule" if slowness(self.outcome) else ""
        is_void = bool(slow)
        kept = self.images_per_second.scaled(100 / self.peak)
        details: dict[str, Any] = {"peak": round(self.peak, 1), "offered": round(self.offered, 1)}
        name, what = f"overload_kept_{asked}", title.format("images/s of the peak")
        yield Figure(name, what, "%", kept, KEPT_PERCENT.get(asked), details=details, note=slow, is_void=is_void)
        what = title.format("images answered while one accepted waits, p99; wanted: a full queue and two batches")
        p99, wait = _p99(self.passed), _p99(self.outcome.latencies(OK))
        details = {} if wait is None else {"p99_ms": round(MILLI * wait.value, 1)}
        name, more = f"overload_accepted_p99_{asked}", {"note": slow, "is_void": is_void}
        yield _at_most(name, what, "images", p99, self.bound, details=details, **more)
        what, lost = (
            title.format("requests without exactly one right answer"),
            Estimate(self.lost, self.lost, self.lost),
        )
        yield _at_most(f"overload_lost_{asked}", what, "", lost, 0, note=self.outcome.faults())
        refused = MILLI * self.outcome.latencies(*REFUSED)
        details = {"max_ms": round(float(np.max(refused, initial=0.0)), 1), "refused": len(refused)}
        note = slow or ("" if len(refused) else "nothing was refused")
        name, what = f"overload_refused_p99_{asked}", title.format("p99 of refusals")
        yield _at_most(name, what, "ms", _p99(refused), REFUSED_MS, details=details, note=note, is_void=is_void)


def _p99(values: Seconds) -> Estimate | None:
    value = float(np.percentile(values, 99)) if len(values) else 0.0
    return Estimate(value, value, value) if len(values) else None


def _percentiles(seconds: Seconds) -> dict[str, float] | None:
    if not len(seconds):
        return None
    values = {f"p{one}": MILLI * float(np.percentile(seconds, one)) for one in PERCENTILES}
    return {**values, "max": MILLI * float(seconds.max())}


def measure_overload(setup: Setup, effort: ServersEffort, max_queue: int) -> Overload:
    """Measure the capacity of ganport's server, offer three times as much, and measure the capacity again.

    Raises:
        BenchError: the server gives no image.
    """
    server = setup.ganport
    with awake(server.pid):
        before = {clients: _peak(setup, effort, clients) for clients in (CLIENTS, MORE_CLIENTS)}
        offered = TIMES * max(before.values())
        due = poisson(offered, effort.overload_seconds)
        connections = max_queue + SPARE_CONNECTIONS
        used = cpu_of(server.pid)
        outcome = setup.client(open_loop, server.endpoint, setup.golden, due, connections=connections)
        used = cpu_of(server.pid) - used
        peaks = {clients: (rate, _peak(setup, effort, clients)) for clients, rate in before.items()}
    return Overload(setup.asked, server, peaks, offered, max_queue, outcome, used, effort.overload_seconds)


def _peak(setup: Setup, effort: ServersEffort, clients: int) -> float:
    server, seconds = setup.ganport, effort.lead_seconds + effort.peak_seconds
    outcome = setup.client(closed_loop, server.endpoint, setup.golden, clients=clients, seconds=seconds)
    rate = outcome.rate(effort.lead_seconds, seconds)
    if rate == 0:  # a batch takes longer than that
        rate = len(outcome.latencies(OK)) / outcome.seconds
    if rate == 0:
        raise BenchError(f"{server.name} gave {clients} clients no image: {outcome.faults() or 'all were refused'}")
    return rate


# --- memory


def memory(setup: Setup, requests: int) -> tuple[list[dict[str, Any]], list[Figure]]:
    """Resident memory of ganport's server while 64 clients send that many requests."""
    server, samples = setup.ganport, list[int]()
    with awake(server.pid):
        load = setup.client.begin(closed_loop, server.endpoint, setup.golden, clients=CLIENTS, requests=requests)
        begun = time.monotonic()
        while not load.done() or len(samples) < 10:
            samples.append(server_setup.resident_bytes(server.pid))
            wait([load], SAMPLE_SECONDS - (time.monotonic() - begun) % SAMPLE_SECONDS)
        outcome = setup.client.result(load)
    return memory_found(setup.asked, server.plan, outcome, np.array(samples, np.float64))


def memory_found(
    asked: str, plan: str, outcome: Outcome, resident: Seconds
) -> tuple[list[dict[str, Any]], list[Figure]]:
    """Row and figure from samples in bytes: the last tenth of the time against the second one."""
    tenths = [float(np.median(part)) for part in np.array_split(resident, 10)]
    warm, last = tenths[1], tenths[-1]
    row = {
        "scenario": "in a row",
        "system": GANPORT,
        "asked": asked,
        "plan": plan,
        "requests": outcome.requests,
        "images_per_second": outcome.requests / outcome.seconds,
        "warm_bytes": warm,
        "last_bytes": last,
        "growth": last / warm,
        "resident_bytes": [float(np.median(part)) for part in np.array_split(resident, 100) if len(part)],
        "correct": outcome.is_right,
        "note": outcome.faults(),
    }
    growth = 100 * abs(last / warm - 1)
    found = Estimate(growth, growth, growth) if outcome.is_right else None
    title = f"{outcome.requests:,} requests in a row, {_called(asked)}: change of resident memory"
    details = {"warm_mib": round(warm / 2**20, 1), "last_mib": round(last / 2**20, 1)}
    name, note = f"memory_growth_{asked}", outcome.faults()
    return [row], [_at_most(name, title, "%", found, GROWTH_PERCENT, details=details, note=note)]
