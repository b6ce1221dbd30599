"""What ganport promises about serving, each beside what was measured."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganport_bench.serving.concurrency import Concurrency, Row
from ganport_bench.serving.effort import CLIENTS
from ganport_bench.serving.ganport_server import NAME
from ganport_bench.serving.memory import Memory
from ganport_bench.serving.overload import TIMES, Overload
from ganport_bench.serving.promises import Promise
from ganport_bench.serving.single import Single
from ganport_bench.timing import Estimate, median, ratio

__all__ = ["promises_of"]

SHARE_PERCENT = 85.0
BATCHES = 2.5
ADDED_MS = 1.5
KEPT_PERCENT = 90.0
REFUSED_MS = 20.0
GROWTH_PERCENT = 5.0
MILLI = 1e3
BEHIND = "the load generator fell behind its schedule"


def promises_of(
    concurrencies: Sequence[Concurrency],
    singles: Sequence[Single],
    overloads: Sequence[Overload],
    memories: Sequence[Memory],
    peers: Sequence[str],
) -> list[Promise]:
    """Every promise about what was measured.

    Args:
        concurrencies: many clients, one a plan.
        singles: one client, one a plan.
        overloads: three times the capacity.
        memories: requests in a row.
        peers: names of those that ganport must be ahead of.
    """
    return [
        *(promise for one in concurrencies for promise in _many(one, peers)),
        *(promise for one in singles for promise in _one(one)),
        *(promise for one in overloads for promise in _overload(one)),
        *(_memory(one) for one in memories),
    ]


def _called(precision: str) -> str:
    return "as tuned" if precision == "auto" else precision


def _many(concurrency: Concurrency, peers: Sequence[str]) -> Iterator[Promise]:
    row, key = concurrency.row(NAME), concurrency.stage.precision
    title = f"{CLIENTS} clients, {_called(key)}: {{}}"
    share, batches = title.format("share of the images/s without a server"), title.format("p99 over a batch's time")
    if row is None:
        why = concurrency.missing[NAME]
        yield Promise(f"clients_share_{key}", share, "%", SHARE_PERCENT, True, None, why)
        yield Promise(f"clients_p99_{key}", batches, "batches", BATCHES, False, None, why)
        return
    faults, kept = row.faults, _if_right(row, concurrency.share(row).scaled(100))
    rates = {"served": row.images_per_second, "offline": median(1 / concurrency.offline_seconds)}
    yield Promise(f"clients_share_{key}", share, "%", SHARE_PERCENT, True, kept, faults, _details(rates))
    longest = _if_right(row, ratio(row.latency[99], concurrency.batch_seconds))
    times = {"p99_ms": median(row.latency[99]), "batch_ms": median(concurrency.batch_seconds)}
    details = _details({name: time.scaled(MILLI) for name, time in times.items()})
    yield Promise(f"clients_p99_{key}", batches, "batches", BATCHES, False, longest, faults, details)
    for peer in peers:
        yield from _over(concurrency, row, peer)


def _over(concurrency: Concurrency, row: Row, peer: str) -> Iterator[Promise]:
    other, key = concurrency.row(peer), concurrency.stage.precision
    name, why = peer.split(",")[0].lower(), concurrency.missing.get(peer, "")
    title = f"{CLIENTS} clients, {_called(key)}: {{}} {peer}'s"
    speed = None if other is None else _if_right(row, ratio(other.seconds, row.seconds))
    yield Promise(f"clients_rate_over_{name}_{key}", title.format("images/s over"), "x", 1.0, True, speed, why)
    p99 = None if other is None else _if_right(row, ratio(row.latency[99], other.latency[99]))
    yield Promise(f"clients_p99_over_{name}_{key}", title.format("p99 over"), "x", 1.0, False, p99, why)


def _if_right(row: Row, estimate: Estimate) -> Estimate | None:
    """A fast wrong answer is worth nothing."""
    return None if row.faults else estimate


def _details(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    return {name: round(estimate.value, 2) for name, estimate in estimates.items()}


def _one(single: Single) -> Iterator[Promise]:
    bare = median(single.bare).scaled(MILLI)
    for protocol, seconds in single.served.items():
        title = f"one client, {_called(single.precision)}, {protocol}: added to the bare call"
        details = _details({"bare_ms": bare, "request_ms": median(seconds).scaled(MILLI)})
        added = None if single.faults else single.added(protocol).scaled(MILLI)
        name = f"one_client_added_{protocol.lower()}_{single.precision}"
        yield Promise(name, title, "ms", ADDED_MS, False, added, single.faults, details)


def _overload(one: Overload) -> Iterator[Promise]:
    key, slow = one.precision, BEHIND if one.slowness else ""
    title, is_void = f"{TIMES:g} times the capacity, {_called(key)}: {{}}", bool(slow)
    what = title.format("images/s of the peak")
    kept = one.images_per_second.scaled(100 / one.peak)
    details = {"peak": round(one.peak, 1), "offered": round(one.offered, 1)}
    yield Promise(f"overload_kept_{key}", what, "%", KEPT_PERCENT, True, kept, slow, details, is_void)
    what = title.format("images answered while one accepted waits, p99; wanted: a full queue and two batches")
    p99, seconds = _p99(one.passed), _p99(one.accepted)
    details = {} if seconds is None else {"p99_ms": round(MILLI * seconds.value, 1)}
    yield Promise(f"overload_accepted_p99_{key}", what, "images", one.bound, False, p99, slow, details, is_void)
    what = title.format("requests without exactly one right answer")
    lost = Estimate(one.lost, one.lost, one.lost)
    yield Promise(f"overload_lost_{key}", what, "", 0, False, lost, one.outcome.faults())
    what = title.format("p99 of refusals")
    longest = round(MILLI * float(np.max(one.refused, initial=0.0)), 1)
    details = {"max_ms": longest, "refused": len(one.refused)}
    note = slow or ("" if len(one.refused) else "nothing was refused")
    p99 = _p99(MILLI * one.refused)
    yield Promise(f"overload_refused_p99_{key}", what, "ms", REFUSED_MS, False, p99, note, details, is_void)


def _p99(values: NDArray[Any]) -> Estimate | None:
    if not len(values):
        return None
    value = float(np.percentile(values, 99))
    return Estimate(value, value, value)


def _memory(one: Memory) -> Promise:
    growth = 100 * abs(one.growth - 1)
    estimate = Estimate(growth, growth, growth) if one.outcome.is_right else None
    title = f"{one.outcome.requests:,} requests in a row, {_called(one.precision)}: change of resident memory"
    details = {"warm_mib": round(one.warm / 2**20, 1), "last_mib": round(one.last / 2**20, 1)}
    name = f"memory_growth_{one.precision}"
    return Promise(name, title, "%", GROWTH_PERCENT, False, estimate, one.outcome.faults(), details)
