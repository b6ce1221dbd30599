"""The rule that decides between running and waiting, on engines of two kinds."""

import pytest
from ganport_runtime.batches import BUCKETS
from ganport_runtime.serving.policy import HANDLING, NOTHING, Costs, Decision, Forecast, Returns, Speeds, decide
from hypothesis import given
from hypothesis import strategies as st

LINEAR = Costs.of({bucket: 0.0002 + 0.0003 * bucket for bucket in BUCKETS})  # a CPU
FLAT = Costs.of(dict.fromkeys(BUCKETS, 0.005))  # a GPU far from full
speeds = st.dictionaries(st.sampled_from(BUCKETS[:-1]), st.floats(1e-5, 1.0)).flatmap(
    lambda some: st.floats(1e-5, 1.0).map(lambda top: Costs.of({**some, 64: top}))
)


@given(speeds, st.integers(1, 200))
def test_without_anything_to_come_something_runs(costs: Costs, waiting: int) -> None:
    decision = decide(costs, waiting, NOTHING, 1.0)
    bucket = costs.bucket_of(decision.images)
    most = min(waiting, max(costs.enough, (waiting + 1) // 2), 64)
    assert 1 <= decision.images <= most
    assert decision.images in (most, bucket)  # all of it, or a bucket that is full


@given(speeds, st.integers(1, 64))
def test_a_split_is_never_slower_than_padding(costs: Costs, waiting: int) -> None:
    padded = costs.seconds[costs.bucket_of(waiting)]
    assert costs.clear[waiting] <= padded
    seconds, left = 0.0, waiting
    while left:
        run = costs.first[left]
        seconds += costs.seconds[costs.bucket_of(run)]
        left -= run
        seconds += HANDLING if left else 0
    assert seconds == pytest.approx(costs.clear[waiting])


def test_an_engine_whose_time_grows_splits_what_one_whose_time_is_flat_pads() -> None:
    assert decide(LINEAR, 33, NOTHING, 0.002, away=33) == Decision(32)
    assert decide(FLAT, 33, NOTHING, 0.002) == Decision(33)
    assert decide(FLAT, 500, NOTHING, 0.002) == Decision(64)


def test_two_groups_in_turn_where_half_a_run_makes_nearly_as_many_images() -> None:
    assert LINEAR.enough == 8  # 87 % of bucket 64's images a second, and 77 % at 4
    assert decide(LINEAR, 64, NOTHING, 0.002) == Decision(32)
    assert decide(LINEAR, 32, NOTHING, 0.002, away=32) == Decision(32)
    assert decide(LINEAR, 64, NOTHING, 0.002, away=64) == Decision(64)
    assert decide(LINEAR, 8, NOTHING, 0.002) == Decision(8)
    assert decide(FLAT, 64, NOTHING, 0.002) == Decision(64)  # half a run takes as long as a whole one


def test_nobody_waits_for_more_than_half_where_all_come_back_at_once() -> None:
    costs = Costs.of({bucket: 0.004 + 0.0003 * bucket for bucket in BUCKETS})
    assert costs.enough == 64
    assert decide(costs, 1, Forecast(63, 0.001), 0.002, away=63) == Decision(0, 64, 0.001)
    nearly = Costs.of({bucket: 0.002 + 0.0003 * bucket for bucket in BUCKETS})
    assert nearly.enough == 32
    assert decide(nearly, 1, Forecast(63, 0.001), 0.002, away=63) == Decision(0, 32, 0.001)


@given(st.dictionaries(st.sampled_from(BUCKETS), st.floats(1e-5, 1.0), min_size=1))
def test_enough_is_the_smallest_bucket_that_is_nearly_as_fast_as_any(seconds: dict[int, float]) -> None:
    rates = {bucket: bucket / (value + HANDLING) for bucket, value in seconds.items()}
    enough = Costs.of(seconds).enough
    assert rates[enough] >= 0.85 * max(rates.values())
    assert all(rates[bucket] < 0.85 * max(rates.values()) for bucket in rates if bucket < enough)


def test_waiting_pays_where_filling_is_quicker_than_another_run() -> None:
    soon = Forecast(31, 0.001)
    assert decide(FLAT, 33, soon, 0.002) == Decision(0, 64, 0.001)
    assert decide(FLAT, 33, soon, 0.0005) == Decision(33)  # past what may be waited
    assert decide(FLAT, 33, Forecast(31, 0.006), 1.0) == Decision(33)  # as long as a run of what is there
    assert decide(FLAT, 64, soon, 0.002) == Decision(64)  # it is full
    assert decide(LINEAR, 32, Forecast(32, 0.001), 0.002, away=32) == Decision(32)  # halves take no longer


@given(speeds, st.integers(1, 63), st.integers(1, 64), st.floats(1e-6, 0.01), st.floats(0, 0.01))
def test_nobody_waits_longer_than_allowed_or_than_it_gains(
    costs: Costs, waiting: int, images: int, seconds: float, patience: float
) -> None:
    decision = decide(costs, waiting, Forecast(images, seconds), patience)
    if decision.images == 0:
        now = decide(costs, waiting, NOTHING, patience).images
        fill = seconds * (decision.wanted - waiting) / images
        assert waiting < decision.wanted <= 64
        assert fill <= patience
        assert fill < costs.clear[waiting] + costs.clear[decision.wanted - now]


def test_what_came_back_after_runs_is_expected_again() -> None:
    returns = Returns(0.002)
    assert returns.forecast(0.0) == NOTHING
    for turn in range(3):
        returns.ran(32, turn * 0.01)
        for index in range(32):
            returns.came(1, turn * 0.01 + 0.00003 * (index + 1))
    returns.ran(40, 0.03)
    found = returns.forecast(0.03)
    assert found.images == 40
    assert found.seconds == pytest.approx(0.00096)
    returns.came(10, 0.0303)
    assert returns.forecast(0.0304).images == 30
    assert returns.forecast(0.0320) == NOTHING  # long past


def test_what_comes_later_than_the_delay_is_not_waited_for() -> None:
    returns = Returns(0.002)
    for turn in range(5):
        returns.ran(1, turn * 0.01)
        returns.came(1, turn * 0.01 + 0.0021)
    returns.ran(1, 0.05)
    assert returns.forecast(0.0501) == NOTHING


def test_one_slow_run_changes_no_bucket_s_time() -> None:
    speeds = Speeds(dict(LINEAR.seconds))
    for _ in range(3):
        speeds.saw(64, LINEAR.seconds[64])
    speeds.saw(64, 10.0)
    assert speeds.costs.seconds == LINEAR.seconds
    for _ in range(5):
        speeds.saw(64, 0.04)
    assert speeds.costs.seconds[64] == 0.04
    for _ in range(5):
        speeds.saw(64, 0.01)
    assert speeds.costs.seconds[64] == 0.01
