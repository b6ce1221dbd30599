"""All that one run of the benchmark found, and its JSON document."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ganport_bench.serving.concurrency import PERCENTILES, Concurrency, Row
from ganport_bench.serving.memory import Memory
from ganport_bench.serving.overload import Overload
from ganport_bench.serving.promises import Promise
from ganport_bench.serving.single import Single
from ganport_bench.timing import median

__all__ = ["Results", "to_json"]

FORMAT = 1
MILLI, MICRO = 1e3, 1e6


@dataclass(frozen=True)
class Results:
    """What was found; lists have an item for each plan that was measured.

    Attributes:
        machine: facts that the figures depend on.
        subject: what was served.
        is_quick: few rounds.
        concurrencies: many clients.
        singles: one client.
        overloads: three times the capacity.
        memories: requests in a row.
        promises: what was promised.
    """

    machine: Mapping[str, Any]
    subject: Mapping[str, Any]
    is_quick: bool
    concurrencies: list[Concurrency]
    singles: list[Single]
    overloads: list[Overload]
    memories: list[Memory]
    promises: list[Promise]


def to_json(results: Results) -> dict[str, Any]:
    """The document of `--json`."""
    missing = {one.stage.precision: dict(one.missing) for one in results.concurrencies}
    return {
        "format": FORMAT,
        "is_quick": results.is_quick,
        "machine": dict(results.machine),
        "model": dict(results.subject),
        "rows": list(_rows(results)),
        "missing": missing,
        "targets": [promise.to_json() for promise in results.promises],
    }


def _rows(results: Results) -> Iterator[dict[str, Any]]:
    for concurrency in results.concurrencies:
        yield _offline(concurrency)
        yield from (_served(row, concurrency) for row in concurrency.rows)
    for single in results.singles:
        yield from _single(single)
    yield from map(_overload, results.overloads)
    yield from map(_memory, results.memories)


def _offline(concurrency: Concurrency) -> dict[str, Any]:
    plan, rate = concurrency.stage.offline.plan, median(1 / concurrency.offline_seconds)
    return {
        "scenario": "offline",
        "system": "Generator.sample",
        "asked": concurrency.stage.precision,
        "plan": plan.text,
        "precision": plan.precision,
        "images_per_second": rate.value,
        "low": rate.low,
        "high": rate.high,
        "batch_ms": asdict(median(concurrency.batch_seconds).scaled(MILLI)),
        "cpu_us": {"client": concurrency.offline_cpu_us, "server": 0.0, "loop": 0.0},
    }


def _served(row: Row, concurrency: Concurrency) -> dict[str, Any]:
    rate = row.images_per_second
    return {
        "scenario": "clients",
        "system": row.system,
        "protocol": row.protocol,
        "asked": concurrency.stage.precision,
        "plan": row.running.plan,
        "precision": concurrency.stage.offline.plan.precision,
        "images_per_second": rate.value,
        "low": rate.low,
        "high": rate.high,
        "latency_ms": {f"p{percent}": MILLI * median(row.latency[percent]).value for percent in PERCENTILES},
        "share_of_offline": asdict(concurrency.share(row)),
        "cpu_us": {"client": row.client_us, "server": row.server_us, "loop": row.loop_us},
        "requests": sum(one.requests for one in row.outcomes),
        "checked": sum(one.checked for one in row.outcomes),
        "correct": not row.faults,
        "settings": dict(row.running.settings),
        "note": row.faults,
    }


def _single(single: Single) -> Iterator[dict[str, Any]]:
    bare = asdict(median(single.bare).scaled(MILLI))
    for protocol, seconds in single.served.items():
        yield {
            "scenario": "one client",
            "system": single.system,
            "protocol": protocol,
            "asked": single.precision,
            "bare_ms": bare,
            "request_ms": asdict(median(seconds).scaled(MILLI)),
            "added_ms": asdict(single.added(protocol).scaled(MILLI)),
            "correct": not single.faults,
            "note": single.faults,
        }


def _overload(one: Overload) -> dict[str, Any]:
    rate, lag = one.images_per_second, one.outcome.lag()
    return {
        "scenario": "overload",
        "system": one.running.name,
        "asked": one.precision,
        "plan": one.running.plan,
        "offered_per_second": one.offered,
        "seconds": one.seconds,
        "images_per_second": rate.value,
        "low": rate.low,
        "high": rate.high,
        "peak": one.peak,
        "peaks": {str(clients): list(rates) for clients, rates in one.peaks.items()},
        "answers": {str(status): count for status, count in one.outcome.statuses().items()},
        "requests": one.outcome.requests,
        "lost": one.lost,
        "accepted_ms": _percentiles(one.accepted),
        "passed_p99": float(np.percentile(one.passed, 99)) if len(one.passed) else None,
        "bound": one.bound,
        "refused_ms": _percentiles(one.refused),
        "late_ms": _percentiles(lag),
        "cpu_us": {"client": MICRO * one.outcome.cpu_seconds / max(1, one.outcome.requests)},
        "cores": {
            "client": one.outcome.cpu_seconds / one.outcome.seconds,
            "server": one.cpu.total / one.outcome.seconds,
            "loop": one.cpu.loop / one.outcome.seconds,
        },
        "checked": one.outcome.checked,
        "correct": not one.slowness and one.lost == 0,
        "note": "; ".join(text for text in (one.slowness, one.outcome.faults()) if text),
    }


def _percentiles(seconds: np.ndarray[Any, Any]) -> dict[str, float] | None:
    if not len(seconds):
        return None
    return {
        **{f"p{percent}": MILLI * float(np.percentile(seconds, percent)) for percent in PERCENTILES},
        "max": MILLI * float(seconds.max()),
    }


def _memory(one: Memory) -> dict[str, Any]:
    return {
        "scenario": "in a row",
        "system": one.running.name,
        "asked": one.precision,
        "plan": one.running.plan,
        "requests": one.outcome.requests,
        "images_per_second": one.outcome.requests / one.outcome.seconds,
        "warm_bytes": one.warm,
        "last_bytes": one.last,
        "growth": one.growth,
        "resident_bytes": [float(np.median(part)) for part in np.array_split(one.resident, 100) if len(part)],
        "correct": one.outcome.is_right,
        "note": one.outcome.faults(),
    }
