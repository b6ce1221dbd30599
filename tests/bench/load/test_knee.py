from ganport_bench.load.knee import Bound, Knee, RateRow, knee_of
from ganport_bench.load.sweep import Answers
from ganport_bench.timing import LatencyPercentiles

ANSWERS = Answers(100, LatencyPercentiles(1, {50: 0.01}), 0.01, 0, 0, 1, 0, {}, {}, {}, 0, 0.1)


def rate(offered: float, in_time: float, *, void: str = "", lost: int = 0) -> RateRow:
    answers = Answers(**{**vars(ANSWERS), "lost": {"closed": lost} if lost else {}})
    return RateRow("poisson", offered, offered / 100, answers, None, in_time, (0, 0, 0), void, "")


def test_the_knee_is_the_highest_rate_that_is_held() -> None:
    knee = knee_of([rate(20, 1), rate(40, 0.995), rate(60, 0.98), rate(80, 0.1)])
    assert knee == Knee(40, 60, "")


def test_a_rate_that_failed_below_it_is_told() -> None:
    assert knee_of([rate(20, 0.9), rate(40, 1), rate(60, 0)]) == Knee(40, 60, "not held although lower: 20/s")


def test_a_lost_request_is_not_held_however_fast_the_others_are() -> None:
    assert knee_of([rate(20, 1), rate(40, 1, lost=1)]) == Knee(20, 40, "")


def test_void_rates_count_for_nothing() -> None:
    assert knee_of([rate(20, 1), rate(40, 1, void="late"), rate(60, 0.5)]) == Knee(20, 60, "1 void")


def test_a_knee_outside_of_what_was_offered_is_said() -> None:
    assert knee_of([rate(20, 0.5)]) == Knee(None, 20, "no rate was held: the knee is below the lowest")
    assert knee_of([rate(20, 1)]) == Knee(20, None, "no rate above it was measured: the knee may be higher")


def test_the_definition_says_the_bound_and_where_it_comes_from() -> None:
    assert "within 20.0 ms (10 times the median latency" in Bound(0.02, is_given=False).definition
    assert "within 5.0 ms (as given)" in Bound(0.005, is_given=True).definition
