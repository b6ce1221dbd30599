"""What LoadGen is told about each scenario; whatever is not here stays as LoadGen has it."""

from ganport_bench.scenarios.effort import Effort
from ganport_bench.scenarios.loadgen import minimum_seconds
from ganport_bench.scenarios.scenario import MULTI_STREAM, OFFLINE, SINGLE_STREAM, Scenario

__all__ = ["in_turn_settings", "null_settings", "server_null_settings", "server_settings"]

OFFLINE_SLACK = 1.1  # LoadGen asks for so many times the images of its minimum duration
NULL_SECONDS = 0.3  # of Poisson arrivals
LEAST_QUERIES = 100  # for percentiles
NANO = 1e9

Settings = dict[str, float]


def in_turn_settings(scenario: Scenario, call_seconds: float, effort: Effort) -> Settings:
    """For queries one after another, or a single one.

    Args:
        scenario: any but Server.
        call_seconds: of one call to the generator at its fastest. LoadGen draws its queries beforehand.
        effort: how long.
    """
    expected_ns = max(1, round(call_seconds * NANO))
    samples_per_second = scenario.batch / call_seconds
    seconds = effort.limit_seconds or minimum_seconds()
    settings: dict[str, Settings] = {
        SINGLE_STREAM.name: {"single_stream_expected_latency_ns": expected_ns},
        MULTI_STREAM.name: {
            "multi_stream_expected_latency_ns": expected_ns,
            "multi_stream_samples_per_query": scenario.batch,
        },
        OFFLINE.name: {"offline_expected_qps": _offline_rate(samples_per_second, effort)},
    }
    return {**settings[scenario.name], **_limit(effort.limit_seconds), **_kept(samples_per_second * seconds, effort)}


def server_settings(rate: float, bound: float, limit_seconds: float | None, effort: Effort) -> Settings:
    """For Poisson arrivals.

    Args:
        rate: queries a second.
        bound: seconds within which 99 % of the answers are wanted.
        limit_seconds: after which the run is ended; None: LoadGen's minimum.
        effort: how many responses are kept.
    """
    queries = rate * (limit_seconds or minimum_seconds())
    return {**_server(rate, bound), **_limit(limit_seconds), **_kept(queries, effort)}


def null_settings(scenario: Scenario, effort: Effort) -> Settings:
    """For a fixed number of queries to the system that makes nothing."""
    samples = {"multi_stream_samples_per_query": scenario.batch} if scenario is MULTI_STREAM else {}
    return {"min_duration_ms": 0, "min_query_count": effort.null_queries, **samples}


def server_null_settings(rate: float, bound: float) -> Settings:
    """For the system that makes nothing, at the rate that was found."""
    return {
        **_server(rate, bound), "min_duration_ms": 0, "min_query_count": max(LEAST_QUERIES, round(rate * NULL_SECONDS))
    }  # fmt: skip


def _server(rate: float, bound: float) -> Settings:
    return {"server_target_qps": rate, "server_target_latency_ns": round(bound * NANO)}


def _limit(seconds: float | None) -> Settings:
    return {} if seconds is None else {"max_duration_ms": max(1, round(seconds * 1e3))}


def _kept(samples: float, effort: Effort) -> Settings:
    """LoadGen keeps each response's bytes with a probability."""
    return {"accuracy_log_probability": min(1.0, effort.checked / samples)}


def _offline_rate(samples_per_second: float, effort: Effort) -> float:
    """What LoadGen expects; it has one query, which nothing ends, so that a short run is one of fewer samples."""
    if effort.limit_seconds is None:
        return samples_per_second
    return samples_per_second * effort.limit_seconds / (OFFLINE_SLACK * minimum_seconds())
