import asyncio
import subprocess
import sys

import numpy as np
import pytest
from ganport_bench.client.loops import closed_loop, constant, open_loop, poisson, slowness

from tests.bench.client.fake_server import EXPECTED, Fake, answer, image_of, running

STALL = 0.3  # seconds, once every 0.5


def test_a_stall_shows_in_the_open_loop_and_hides_in_a_closed_one() -> None:
    with running(Fake(stall=(0.5, STALL))) as fake:
        opened = open_loop(fake.endpoint, EXPECTED, poisson(150, 0.95), connections=80)
    with running(Fake(stall=(0.5, STALL))) as fake:
        closed = closed_loop(fake.endpoint, EXPECTED, clients=1, seconds=0.95)
    assert opened.is_right
    assert closed.is_right
    assert float(np.percentile(opened.latencies(200), 99)) > 0.6 * STALL
    assert float(closed.latencies(200).max()) >= STALL, "both met it"
    assert float(np.percentile(closed.latencies(200), 99)) < 0.3 * STALL


def test_latency_counts_from_when_a_request_was_due() -> None:
    """One connection and an answer every 20 ms: of requests due every 10 ms each waits longer than the one before."""
    with running(Fake(delay=lambda _: 0.02)) as fake:
        outcome = open_loop(fake.endpoint, EXPECTED, constant(100, 0.2), connections=1)
    latencies = outcome.latencies(200)
    assert len(latencies) == 20
    assert latencies[-1] >= 20 * 0.02 - 0.2
    assert np.all(np.diff(latencies) > 0)
    assert np.all(outcome.answered - outcome.sent < latencies[-1])
    assert slowness(outcome).startswith("the load generator fell behind: ")


def test_requests_go_out_when_they_are_due() -> None:
    due = poisson(300, 0.3, seed=3)
    with running(Fake(delay=lambda _: 0.05)) as fake:
        outcome = open_loop(fake.endpoint, EXPECTED, due, connections=100)
    assert outcome.due == pytest.approx(due)
    assert np.all(outcome.lag() >= 0)
    assert float(np.median(outcome.lag())) < 0.02
    assert outcome.is_right
    assert np.all(outcome.latencies(200) >= 0.05)


def test_every_request_is_accounted_for_once() -> None:
    def says(number: int, seed: int) -> list[bytes | None]:
        faults: dict[int, list[bytes | None]] = {1: [answer(b"", 429)], 2: [answer(b"", 503)], 3: []}
        return faults.get(number % 8, [answer(image_of(seed))])

    with running(Fake(says=says)) as fake:
        outcome = open_loop(fake.endpoint, EXPECTED, constant(400, 0.2), connections=20)
    assert outcome.requests == 80 == len(fake.seeds)
    assert outcome.statuses() == {200: 50, 429: 10, 503: 10}
    assert outcome.lost == {"closed without an answer": 10}
    assert int(np.count_nonzero(outcome.status == 0)) == 10


def test_too_few_files_are_the_load_generators_own_fault() -> None:
    """Where the soft limit is too low it is raised; where the hard one is, that is said."""
    code = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (60, int(sys.argv[2])))
from ganport_bench.client.http import HttpClient
from ganport_bench.client.requests import Endpoint, SeedEncoder
from ganport_bench.client.outcome import AnswerCheck
with HttpClient(Endpoint("127.0.0.1", int(sys.argv[1]), SeedEncoder()), AnswerCheck(), 100):
    print("open")
"""
    with running(Fake()) as fake:
        said = [
            subprocess.run(
                [sys.executable, "-c", code, str(fake.endpoint.port), str(hard)],
                capture_output=True, text=True, check=False,
            )
            for hard in (1000, 60)
        ]  # fmt: skip
    assert said[0].stdout == "open\n", said[0].stderr
    assert "raise the limit of open files (ulimit -n)" in said[1].stderr


class Impatient(Fake):
    """Closes the first 20 connections after 0.15 s, as servers do with what is idle for long."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self.seen) < 20:
            self.seen.append(writer)
            asyncio.get_running_loop().call_later(0.15, writer.close)
        await super().serve(reader, writer)

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[asyncio.StreamWriter] = []


def test_a_server_that_closes_idle_connections_loses_no_request_by_it() -> None:
    due = np.concatenate([np.arange(5) / 100, np.full(20, 0.4)])
    with running(Impatient()) as fake:
        outcome = open_loop(fake.endpoint, EXPECTED, due, connections=20)
    assert outcome.lost == {}
    assert outcome.statuses() == {200: 25}
    assert outcome.reconnected == 20


def test_a_client_that_keeps_up_says_nothing() -> None:
    with running(Fake()) as fake:
        outcome = open_loop(fake.endpoint, EXPECTED, constant(20, 0.3), connections=4)
    assert outcome.lag().max() < 0.2
    outcome.sent[:] = outcome.due
    assert slowness(outcome) == ""


def test_poisson_arrivals_are_independent_and_of_the_rate() -> None:
    due = poisson(1000, 60)
    assert len(due) == pytest.approx(60_000, rel=0.02)
    gaps = np.diff(due)
    assert np.all(gaps >= 0)
    assert float(gaps.mean()) == pytest.approx(1e-3, rel=0.02)
    assert float(gaps.std()) == pytest.approx(1e-3, rel=0.03), "an exponential distribution's are equal"
    assert abs(float(np.corrcoef(gaps[:-1], gaps[1:])[0, 1])) < 0.02
    assert np.array_equal(due, poisson(1000, 60))
    assert not np.array_equal(due[:10], poisson(1000, 60, seed=1)[:10])


def test_constant_arrivals_are_at_equal_distances() -> None:
    due = constant(400, 2)
    assert len(due) == 800
    assert due[0] == 0
    assert np.allclose(np.diff(due), 1 / 400)
