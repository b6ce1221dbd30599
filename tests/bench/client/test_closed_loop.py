import math
import socket
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from ganport_bench.client.loops import closed_loop
from ganport_bench.client.outcome import CHECKED, GoldenImages, Outcome
from ganport_bench.client.requests import Endpoint, SeedEncoder
from ganport_bench.errors import BenchError

from tests.bench.client.fake_server import EXPECTED, Fake, answer, image_of, running

SLACK = 0.04  # seconds by which a busy machine may be late
TRIES = 3


def test_a_known_latency_is_reported() -> None:
    for _ in range(TRIES):
        with running(Fake(delay=lambda _: 0.05)) as fake:
            outcome = closed_loop(fake.endpoint, EXPECTED, clients=4, seconds=0.3)
        found = float(np.median(outcome.latencies(200)))
        assert found >= 0.05
        if found < 0.05 + SLACK:  # what else runs here may delay answers, never hasten them
            break
    assert found < 0.05 + SLACK
    assert outcome.is_right
    assert outcome.faults() == ""
    assert outcome.rate(0, 0.3) <= 4 / 0.05
    assert outcome.statuses() == {200: outcome.requests}
    assert outcome.cpu_seconds < outcome.seconds


def test_known_jitter_is_reported() -> None:
    delays = np.random.default_rng(5).uniform(0.005, 0.1, 120)
    known = np.percentile(delays, (50, 90))
    for _ in range(TRIES):
        with running(Fake(delay=lambda number: float(delays[number % 120]))) as fake:
            outcome = closed_loop(fake.endpoint, EXPECTED, clients=12, requests=120)
        found = np.percentile(outcome.latencies(200), (50, 90))
        assert len(outcome.latencies(200)) == 120
        assert np.all(found >= known)
        if np.all(found < known + SLACK):
            break
    assert np.all(found < known + SLACK)


def test_every_request_asks_for_another_image_and_every_eighth_is_compared() -> None:
    with running(Fake()) as fake:
        outcome = closed_loop(fake.endpoint, EXPECTED, clients=1, requests=64)
    assert outcome.checked == 64 / CHECKED
    unknown = [seed for seed in fake.seeds if seed >= len(EXPECTED.images)]
    assert len(set(unknown)) == len(unknown) == 64 - 64 / CHECKED
    assert {seed for seed in fake.seeds if seed < len(EXPECTED.images)} == {0, 1, 2, 3}


def test_no_client_sends_before_it_has_its_answer() -> None:
    with running(Fake(delay=lambda _: 0.02)) as fake:
        outcome = closed_loop(fake.endpoint, EXPECTED, clients=3, requests=30)
    for moment in outcome.sent:
        in_the_air = np.sum((outcome.sent <= moment) & (outcome.answered > moment))
        assert in_the_air <= 3


Says = Callable[[int, int], Sequence[bytes | None]]


def odd(other: bytes | None) -> Says:
    """Every tenth answer is another one; without bytes it closes the connection."""
    return lambda number, seed: (
        ([] if other is None else [other]) if number % 10 == 9 else [answer(b"{}" + image_of(seed))]
    )


FAULTS = {
    "closes": (odd(None), "10 x closed without an answer"),
    "short": (odd(answer(b"few")), "10 x a body of 3 bytes where the image alone has 48"),
    "no HTTP": (odd(b"hello\r\n\r\n"), "10 x no HTTP answer"),
    "no length": (odd(b"HTTP/1.1 200 OK\r\n\r\n"), "10 x an answer without a content-length"),
    "twice": (odd(2 * answer(b"{}" + bytes(48))), "10 x more than one answer"),
    "endless headers": (odd(b"HTTP/1.1 200 OK\r\na: " + 2**17 * b"x"), "10 x headers without an end"),
}


@pytest.mark.parametrize(("says", "told"), FAULTS.values(), ids=FAULTS)
def test_what_is_wrong_is_counted_and_told(says: Says, told: str) -> None:
    with running(Fake(says=says)) as fake:
        outcome = closed_loop(fake.endpoint, EXPECTED, clients=2, requests=100)
    assert outcome.faults() == told
    assert not outcome.is_right
    assert outcome.requests == 100
    answered = int(np.count_nonzero(~np.isnan(outcome.answered)))
    assert answered + sum(outcome.lost.values()) == 100


def test_another_image_than_the_one_asked_for_is_told() -> None:
    with running(Fake(says=lambda *_: [answer(b"{}" + bytes(47) + b"!")])) as fake:
        outcome = closed_loop(fake.endpoint, EXPECTED, clients=2, requests=80)
    assert outcome.wrong == {"another image than Generator.sample makes": 10}
    assert outcome.checked == 0


def test_refusals_are_answers_of_their_own() -> None:
    with running(Fake(says=odd(answer(b"later", 429)))) as fake:
        outcome = closed_loop(fake.endpoint, EXPECTED, clients=2, requests=100)
    assert outcome.statuses() == {200: 90, 429: 10}
    assert outcome.is_right
    assert len(outcome.latencies(429)) == 10
    assert len(outcome.latencies(200, 429)) == 100


def test_a_server_that_says_it_will_close_is_connected_to_again() -> None:
    def says(number: int, seed: int) -> Sequence[bytes | None]:
        return [answer(image_of(seed), extra="Connection: close\r\n")]

    with running(Fake(says=says)) as fake:
        outcome = closed_loop(fake.endpoint, EXPECTED, clients=2, requests=20)
    assert outcome.is_right
    assert outcome.reconnected >= 19


def test_no_answer_at_all_is_lost_when_patience_ends() -> None:
    with running(Fake(says=lambda number, seed: [None] if number == 5 else [answer(image_of(seed))])) as fake:
        outcome = closed_loop(fake.endpoint, EXPECTED, clients=2, requests=40, patience=0.3)
    assert outcome.lost == {"no answer within 0.3 s": 1}
    assert outcome.seconds < 10
    assert math.isnan(outcome.answered[outcome.status == 0][0])
    assert outcome.statuses() == {200: 39}


def test_an_answer_may_come_in_pieces_and_be_larger_than_what_is_read_at_once() -> None:
    image = np.random.default_rng(1).bytes(300_000)
    whole = answer(b"{}" + image)
    pieces = [whole[:20], whole[20:70], whole[70:100_000], whole[100_000:]]
    with running(Fake(says=lambda *_: pieces)) as fake:
        outcome = closed_loop(fake.endpoint, GoldenImages([image]), clients=2, requests=16)
    assert outcome.is_right
    assert outcome.checked == 2


def test_nobody_listening_takes_one_line() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = Endpoint("127.0.0.1", free.getsockname()[1], SeedEncoder())
        with pytest.raises(BenchError, match=r"^127.0.0.1:\d+ takes no connection: .*refused"):
            closed_loop(endpoint, EXPECTED, clients=2, requests=1)


def test_where_nothing_came_before_the_first_answers_took_since_the_beginning() -> None:
    """An answer 1.2 s after the beginning is no 3.3 a second since 0.9 s."""
    answered = np.array([1.2])
    outcome = Outcome(answered - 1.2, answered - 1.2, answered, np.full(1, 200, np.int16), {}, {}, 0, 0, 1.0, 1.2)
    assert outcome.rate(0.9, 1.9) == pytest.approx(1 / 1.2)


def test_answers_that_come_in_batches_have_the_same_rate_in_any_window() -> None:
    answered = np.repeat(np.arange(1, 51) * 0.1, 64)
    status = np.full(len(answered), 200, np.int16)
    outcome = Outcome(answered - 0.1, answered - 0.1, answered, status, {}, {}, 0, 0, 1.0, 5.0)
    for begin in (0.0, 0.31, 0.39, 1.05):
        assert outcome.rate(begin, begin + 1) == pytest.approx(640)
    assert outcome.rate(5.1, 6.0) == 0
