"""The harness is right: a system of known latency, jitter and stalls is reported as what it is."""

import numpy as np
import pytest
from ganport_bench.client.loops import open_loop, poisson
from ganport_bench.client.outcome import Outcome
from ganport_bench.load.knee import Schedule
from ganport_bench.load.sweep import answers_of

from tests.bench.client.fake_server import EXPECTED, Fake, running
from tests.bench.load.open_inference import described, measured, rows_of

DELAY = 0.02  # seconds
SLACK = 0.015  # seconds by which a busy machine may be late
RATE, SECONDS = 200, 1.6
TRIES = 3


def test_a_known_latency_is_reported_in_both_loops() -> None:
    for _ in range(TRIES):
        with running(Fake(delay=lambda _: DELAY, documents=described())) as fake:
            load = measured(fake)
        medians = [row.answers.latency.percentiles[50] for row in rows_of(load)]
        assert min(medians) >= DELAY
        if max(medians) < DELAY + SLACK:  # what else runs here may delay answers, never hasten them
            break
    assert max(medians) < DELAY + SLACK
    one, four = load.concurrency
    assert (one.concurrency, four.concurrency) == (1, 4)
    assert one.answers.per_second <= 1.02 / DELAY
    assert one.answers.per_second < four.answers.per_second <= 4.08 / DELAY
    assert load.unloaded == one.answers.latency.percentiles[50]
    assert load.capacity == four.answers.per_second
    assert [row.arrivals for row in load.rates] == ["poisson", "constant"]
    assert load.rates[1].offered == pytest.approx(0.3 * load.capacity, rel=0.1)


def test_known_jitter_is_reported() -> None:
    delays = np.random.default_rng(5).uniform(0.005, 0.1, 100)
    known = np.percentile(delays, (50, 90, 99))
    for _ in range(TRIES):
        with running(Fake(delay=lambda number: float(delays[number % 100]))) as fake:
            outcome = open_loop(fake.endpoint, EXPECTED, poisson(400, 1.0), connections=200, tick=0.0002)
        latency = answers_of(outcome, outcome.came(0, 10), 400).latency
        found = np.array([latency.percentiles[percent] for percent in (50, 90, 99)])
        assert latency.samples == outcome.requests
        assert np.all(found > known - 0.005)
        if np.all(found < known + SLACK):
            break
    assert np.all(found < known + SLACK)


def late_by(seconds: float) -> Outcome:
    """A hundred requests a second for a second, each sent so late and answered a millisecond after that."""
    due = np.arange(100) / 100
    sent, answered = due + seconds, due + seconds + 0.001
    return Outcome(due, sent, answered, np.full(100, 200, np.int16), {}, {}, 0, 0, 0.1, 1.0, sent, answered)


def offered(connections: int) -> Schedule:
    return Schedule("constant", np.arange(100) / 100, 0.0, 1.0, connections)


def test_a_load_generator_that_falls_behind_voids_its_row() -> None:
    row = offered(100).row(late_by(0.05), None, 100.0, bound=1.0)
    document = row.to_json()
    assert (document["void"], document["held"]) == (True, False)
    assert document["note"].startswith("VOID: the load generator fell behind: 100.0% of the requests")
    held_up = offered(1).row(late_by(0.05), None, 100.0, bound=1.0)
    assert not held_up.void, "all its connections waited for the server"
    assert held_up.saturated == "all 1 connections waited for answers"
    assert offered(1).row(late_by(0.05), None, 100.0, bound=0.02).in_time == 0, "counted from when requests were due"


def test_a_rate_is_held_while_99_percent_are_answered_within_the_bound() -> None:
    outcome = late_by(0.0)
    outcome.answered[:2] += 0.5
    rows = [offered(40).row(outcome, None, 200.0, bound=bound) for bound in (0.1, 0.6)]
    assert [(row.in_time, row.is_held) for row in rows] == [(0.98, False), (1, True)]


def test_a_load_generator_may_be_late_by_a_quarter_of_the_bound() -> None:
    assert offered(40).row(late_by(0.003), None, 200.0, bound=0.008).void
    assert not offered(40).row(late_by(0.003), None, 200.0, bound=0.016).void


def test_only_what_is_due_after_the_lead_counts() -> None:
    schedule = Schedule("constant", np.arange(40) / 100, 0.095, 0.395, 40)
    with running(Fake(delay=lambda number: 0.3 if number < 5 else 0.001)) as fake:
        outcome = open_loop(fake.endpoint, EXPECTED, schedule.due, connections=40)
    row = schedule.row(outcome, None, 200, bound=0.1)
    assert (row.answers.latency.samples, row.answers.requests, row.in_time) == (30, 40, 1)
    assert row.of_capacity == pytest.approx(0.5, rel=0.02)
