import json

import pytest
from ganport_bench.overhead.figure import Figure
from ganport_bench.timing import Estimate


def figure(value: float, low: float, high: float) -> Figure:
    return Figure("open", "opening", "x", Estimate(value, low, high), target=1.2, details={"bare_ms": 20.5})


@pytest.mark.parametrize(
    ("value", "low", "high", "is_reached", "is_certain"),
    [
        (1.1, 1.0, 1.15, True, True),
        (1.2, 1.2, 1.2, True, True),
        (1.1, 1.0, 1.3, True, False),
        (1.3, 1.1, 1.5, False, False),
        (1.3, 1.25, 1.5, False, True),
    ],
)
def test_a_target_is_reached_by_the_median_and_for_certain_by_the_whole_interval(
    value: float, low: float, high: float, is_reached: bool, is_certain: bool
) -> None:
    assert figure(value, low, high).is_reached is is_reached
    assert figure(value, low, high).is_certain is is_certain


def test_the_document_says_all_of_it() -> None:
    assert json.loads(json.dumps(figure(1.3, 1.25, 1.5).to_json())) == {
        "name": "open",
        "title": "opening",
        "unit": "x",
        "estimate": {"value": 1.3, "low": 1.25, "high": 1.5},
        "target": 1.2,
        "details": {"bare_ms": 20.5},
        "note": "",
        "is_reached": False,
        "is_certain": True,
    }
