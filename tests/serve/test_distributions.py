"""Histograms that are counted when somebody looks say what Prometheus' own would."""

import threading

import pytest
from ganport_serve.answers import Answers
from ganport_serve.distributions import MOST, Distribution, Distributions
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

BOUNDS = (0.25, 1.0, 64.0)
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(registry: CollectorRegistry) -> Samples:
    """All but when a histogram was made, which is nobody's figure."""
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in families
        for one in family.samples
        if not one.name.endswith("_created")
    }


@given(st.lists(st.sampled_from((0.0, 0.1, 0.25, 0.26, 1.0, 5.0, 64.0, 65.0, 1e9)), min_size=1, max_size=50))
def test_it_says_what_the_librarys_own_says(values: list[float]) -> None:
    own, library = CollectorRegistry(), CollectorRegistry()
    distributions = Distributions("h", "A figure.", BOUNDS, ("kind",))
    own.register(distributions)
    theirs = Histogram("h", "A figure.", ("kind",), buckets=BOUNDS, registry=library)
    for index, value in enumerate(values):
        distributions.labels("ab"[index % 2]).observe(value)
        theirs.labels("ab"[index % 2]).observe(value)
    assert samples(own) == pytest.approx(samples(library))


def test_no_value_is_lost_or_counted_twice_among_threads() -> None:
    distribution, threads, each = Distribution(BOUNDS), 4, 5 * MOST
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            distribution.read()

    def add() -> None:
        for _ in range(each):
            distribution.observe(0.5)

    watcher = threading.Thread(target=look)
    workers = [threading.Thread(target=add) for _ in range(threads)]
    for thread in (watcher, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    done.set()
    watcher.join()
    assert distribution.read() == ([0, threads * each, threads * each, threads * each], threads * each * 0.5)


def test_seconds_of_all_statuses_are_one_histogram_and_requests_are_counted_by_each() -> None:
    registry, answers = CollectorRegistry(), Answers(BOUNDS)
    registry.register(answers)
    for status, seconds in ((200, 0.5), (200, 2.0), (429, 0.1)):
        answers.add("http", "/a", status, seconds)
    found = samples(registry)
    where = {("protocol", "http"), ("route", "/a")}
    assert found["ganport_requests_total", frozenset(where | {("status", "200")})] == 2
    assert found["ganport_requests_total", frozenset(where | {("status", "429")})] == 1
    assert found["ganport_request_seconds_count", frozenset(where)] == 3
    assert found["ganport_request_seconds_sum", frozenset(where)] == pytest.approx(2.6)
    assert found["ganport_request_seconds_bucket", frozenset(where | {("le", "1.0")})] == 2
