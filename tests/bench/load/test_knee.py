import pytest
from ganport_bench.load.knee import Knee, RateRow, definition, knee_of
from ganport_bench.load.sweep import Answers
from ganport_bench.timing import LatencyPercentiles

ANSWERS = Answers(100, LatencyPercentiles(1, {50: 0.01}), 0.01, 0, 0, 1, 0, {}, {}, {}, 0, 0.1)


def rate(offered: float, in_time: float, *, void: str = "", lost: int = 0) -> RateRow:
    answers = Answers(**{**vars(ANSWERS), "lost": {"closed": lost} if lost else {}})
    return RateRow("poisson", offered, offered / 100, answers, None, in_time, (0, 0, 0), void, "")


KNEES = {
    "the highest that is held": ([rate(20, 1), rate(40, 0.995), rate(60, 0.98), rate(80, 0.1)], Knee(40, 60, "")),
    "one failed below": ([rate(20, 0.9), rate(40, 1), rate(60, 0)], Knee(40, 60, "not held although lower: 20/s")),
    "a lost request is not held": ([rate(20, 1), rate(40, 1, lost=1)], Knee(20, 40, "")),
    "void counts for nothing": ([rate(20, 1), rate(40, 1, void="late"), rate(60, 0.5)], Knee(20, 60, "1 void")),
    "below all": ([rate(20, 0.5)], Knee(None, 20, "no rate was held: the knee is below the lowest")),
    "above all": ([rate(20, 1)], Knee(20, None, "no rate above it was measured: the knee may be higher")),
}


@pytest.mark.parametrize(("rates", "knee"), KNEES.values(), ids=KNEES)
def test_the_knee_of_known_rates(rates: list[RateRow], knee: Knee) -> None:
    assert knee_of(rates) == knee


def test_the_definition_says_the_bound_and_where_it_comes_from() -> None:
    assert "within 20.0 ms (10 times the median latency" in definition(0.02, is_given=False)
    assert "within 5.0 ms (as given)" in definition(0.005, is_given=True)
