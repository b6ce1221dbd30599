"""What is said about figures that are made up here, so that it is known what must be said."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from ganport_bench.client.outcome import Outcome
from ganport_bench.client.requests import Endpoint, SeedEncoder
from ganport_bench.serving.memory import Memory
from ganport_bench.serving.overload import Overload
from ganport_bench.serving.promises import Promise
from ganport_bench.serving.single import Single
from ganport_bench.serving.systems import Running
from ganport_bench.serving.targets import promises_of
from ganport_bench.serving.usage import Cpu
from ganport_bench.timing import Estimate

SERVER = Running("ganport serve", 1, Endpoint("127.0.0.1", 1, SeedEncoder()))
SECONDS, PEAK, MAX_QUEUE = 5.0, 100.0, 10


def overload(
    *, accepted: float = 0.5, refused: float = 0.01, late: float = 0.0, lost: int = 0, kept: int = 3
) -> Overload:
    """300 requests a second, `kept` of nine accepted; seconds until answers, and by which all were sent late."""
    due = np.arange(0, SECONDS, 1 / 300)
    good = np.arange(len(due)) % 9 < kept
    answered = due + late + np.where(good, accepted, refused)
    status = np.where(good, 200, 429).astype(np.int16)
    answered[:lost], status[:lost] = np.nan, 0
    reasons: Mapping[str, int] = {"closed without an answer": lost} if lost else {}
    outcome = Outcome(due, due + late, answered, status, reasons, {}, 30, 0, 0.5, SECONDS + 1)
    return Overload("auto", SERVER, {64: (PEAK, PEAK)}, 3 * PEAK, MAX_QUEUE, outcome, Cpu(1.0, 0.5), SECONDS)


def told(one: Overload) -> dict[str, Promise]:
    return {promise.name.removesuffix("_auto"): promise for promise in promises_of([], [], [one], [], [])}


def test_an_overload_that_is_borne_reaches_everything() -> None:
    promises = told(overload())
    assert all(promise.is_reached for promise in promises.values())
    measured = {name: promise.to_json()["measured"] for name, promise in promises.items()}
    assert measured == {
        "overload_kept": pytest.approx(100, abs=1),
        "overload_accepted_p99": pytest.approx(50, abs=1),
        "overload_lost": 0,
        "overload_refused_p99": pytest.approx(10),
    }
    assert promises["overload_accepted_p99"].wanted == MAX_QUEUE + 128
    assert promises["overload_accepted_p99"].details == {"p99_ms": pytest.approx(500)}


@pytest.mark.parametrize(
    ("one", "missed"),
    [
        (overload(kept=2), "overload_kept"),
        (overload(accepted=1.5), "overload_accepted_p99"),
        (overload(refused=0.03), "overload_refused_p99"),
        (overload(lost=1), "overload_lost"),
    ],
    ids=["throughput falls", "a queue without a bound", "slow refusals", "one is lost"],
)
def test_each_thing_that_goes_wrong_is_a_miss_of_its_own(one: Overload, missed: str) -> None:
    assert [name for name, promise in told(one).items() if not promise.is_reached] == [missed]


def test_the_peak_is_of_the_better_number_of_clients_and_of_no_lucky_moment() -> None:
    assert replace(overload(), peaks={64: (90.0, 110.0), 256: (60.0, 130.0)}).peak == 100


def test_a_load_generator_that_fell_behind_fails_what_it_should_have_measured() -> None:
    promises = told(overload(accepted=0.1, refused=-0.045, late=0.05))
    for name in ("overload_kept", "overload_accepted_p99", "overload_refused_p99"):
        document = promises[name].to_json()
        assert document["measured"] is not None
        assert (document["is_void"], document["reached"]) == (True, False)
        assert document["note"] == "the load generator fell behind its schedule"


def test_a_slow_load_says_whether_the_server_held_all_connections() -> None:
    slow = overload(late=0.05, accepted=1.0)
    assert slow.slowness.startswith("the load generator fell behind: 100.0% of the requests were sent more than 10 ms")
    known = max(int(np.sum((slow.outcome.sent <= at) & (slow.outcome.answered > at))) for at in slow.outcome.sent)
    assert slow.outcome.most_in_the_air == pytest.approx(known, abs=1)
    assert f"with {slow.outcome.most_in_the_air:,} in the air" in slow.slowness


def test_an_overload_that_refuses_nothing_shows_no_refusals() -> None:
    promise = told(overload(kept=9))["overload_refused_p99"]
    assert not promise.is_reached
    assert promise.note == "nothing was refused"


def memory(last: float) -> Promise:
    resident = np.concatenate([np.full(10, 50e6), np.full(80, 100e6), np.full(10, last)])
    none = np.zeros(0)
    outcome = Outcome(none, none, none, np.zeros(0, np.int16), {}, {}, 0, 0, 1.0, 1.0)
    (promise,) = promises_of([], [], [], [Memory("auto", SERVER, outcome, resident)], [])
    return promise


@pytest.mark.parametrize(("last", "is_flat"), [(100e6, True), (104e6, True), (106e6, False), (90e6, False)])
def test_memory_is_flat_or_not_after_warming_up(last: float, *, is_flat: bool) -> None:
    promise = memory(last)
    assert promise.is_reached is is_flat
    assert promise.estimate is not None
    assert promise.estimate.value == pytest.approx(abs(last / 1e6 - 100))


def test_what_one_client_waits_longer_is_compared_round_by_round() -> None:
    bare = np.array([1e-3, 5e-3, 2e-3])
    single = Single("auto", SERVER.name, bare, {"HTTP": bare + 1.2e-3, "gRPC": bare + 2e-3}, "")
    http, grpc = promises_of([], [single], [], [], [])
    assert http.to_json()["measured"] == pytest.approx(1.2)
    assert (http.is_reached, grpc.is_reached) == (True, False)
    wrong = Single("auto", SERVER.name, bare, {"HTTP": bare}, "1 x another image")
    (promise,) = promises_of([], [wrong], [], [], [])
    assert not promise.is_reached
    assert promise.note == "1 x another image"


@pytest.mark.parametrize(
    ("interval", "is_reached", "is_certain"),
    [((4, 3.5, 5), True, True), ((4, 2, 5), True, False), ((2, 1, 2.5), False, True), ((2, 1, 4), False, False)],
)
def test_a_promise_knows_whether_noise_could_turn_it(
    interval: tuple[float, float, float], *, is_reached: bool, is_certain: bool
) -> None:
    promise = Promise("name", "title", "x", 3.0, True, Estimate(*interval))
    assert (promise.is_reached, promise.is_certain) == (is_reached, is_certain)
    document = promise.to_json()
    assert {"name", "measured", "low", "high", "wanted", "reached"} <= set(document)
    assert not any(isinstance(value, float) and math.isnan(value) for value in document.values())


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
