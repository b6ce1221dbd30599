import pytest
from ganport_bench.figures import Figure, figures_table
from ganport_bench.timing import Estimate


def figure(value: float, low: float, high: float, *, is_floor: bool = False) -> Figure:
    estimate = Estimate(value, low, high)
    return Figure("open", "opening", "x", estimate, 1.2, is_floor=is_floor, details={"bare_ms": 20.5})


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
def test_a_ceiling_is_kept_by_the_median_and_for_certain_by_the_whole_interval(
    value: float, low: float, high: float, is_reached: bool, is_certain: bool
) -> None:
    assert figure(value, low, high).is_reached is is_reached
    assert figure(value, low, high).is_certain is is_certain


@pytest.mark.parametrize(
    ("value", "low", "high", "is_reached", "is_certain"),
    [
        (1.2, 1.2, 1.3, True, True),
        (1.3, 1.1, 1.5, True, False),
        (1.1, 1.0, 1.3, False, False),
        (1.1, 1.0, 1.19, False, True),
    ],
)
def test_so_is_a_floor(value: float, low: float, high: float, is_reached: bool, is_certain: bool) -> None:
    assert figure(value, low, high, is_floor=True).is_reached is is_reached
    assert figure(value, low, high, is_floor=True).is_certain is is_certain


def test_what_is_missing_or_void_is_not_reached() -> None:
    missing = Figure("f", "title", "x", None, 1.0)
    void = Figure("f", "title", "x", Estimate(2.0, 2.0, 2.0), 1.0, is_void=True, note="fell behind")
    for one in (missing, void):
        assert not one.is_reached
        assert one.is_certain
    rows = figures_table("", [missing.to_json(), void.to_json()]).rows
    assert [row[4] for row in rows] == ["no", "no: void"]
    assert rows[1][-1] == "fell behind"


def test_who_is_compared_with_whom_is_named() -> None:
    details = {"plan": "ours", "plan_images_per_second": 200.0, "peer": "theirs", "peer_images_per_second": 100.0}
    old = {"name": "f", "title": "t", "unit": "x", "wanted": 3.0, "estimate": {"value": 2.0, "low": 2.0, "high": 2.0}}
    document = {**old, "details": details, "is_reached": False, "is_certain": True}  # as version 1.0 wrote it
    (row,) = figures_table("", [document]).rows
    assert row[1:] == ("2.00x", "", "at least 3.00x", "no", "ours (200 images/s) over theirs (100 images/s)")
