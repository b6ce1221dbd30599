import json
from typing import Any

import pytest
from ganport_bench.speed.measured import Comparison, Measured
from ganport_bench.speed.summary import summarize
from ganport_bench.speed.targets import Target, targets_of
from ganport_bench.timing import Estimate

from tests.bench.speed.fakes import ceilings, measured, off_by, right


def by_name(*comparisons: Comparison, **operations: float) -> dict[str, Target]:
    return {target.name: target for target in targets_of(comparisons, ceilings((1, 8, 64), **operations))}


def at(batch: int, *those: Measured) -> Comparison:
    return Comparison(batch, those, {})


# The machine is half as fast in the second round: only a ratio round by round is the same in both.
ROUNDS = (1.0, 2.0, 1.0)


def seconds(one: float) -> list[float]:
    return [one * slower for slower in ROUNDS]


def everyone(batch: int = 64, **of_plan: Any) -> Comparison:
    plan: dict[str, Any] = {"kind": "plan", "precision": "int8", "make": off_by(1), **of_plan}
    return at(
        batch,
        measured("eager", seconds(0.10), batch=batch),
        measured("compiled", seconds(0.08), batch=batch),
        measured("autocast", seconds(0.05), batch=batch, precision="bf16", make=off_by(1)),
        measured("exact plan", seconds(0.07), batch=batch, kind="plan"),
        measured("plan", seconds(0.02), batch=batch, **plan),
    )


def test_the_best_of_each_kind_is_compared_round_by_round() -> None:
    found = by_name(everyone(), int8=16e9)
    assert list(found) == [
        "batch_64_over_fp32_peer",
        "batch_64_over_any_peer",
        "batch_64_exact",
        "batch_64_share_of_peak",
    ]
    for name, value in (("over_fp32_peer", 4.0), ("over_any_peer", 2.5), ("exact", 0.08 / 0.07)):
        estimate = found[f"batch_64_{name}"].estimate
        assert estimate is not None
        assert [estimate.value, estimate.low, estimate.high] == pytest.approx([value] * 3)
    assert found["batch_64_over_any_peer"].details == {
        "plan": "plan",
        "plan_images_per_second": 3200,
        "peer": "autocast",
        "peer_images_per_second": 1280,
    }


def test_the_share_is_of_the_peak_of_what_the_winner_computes_with() -> None:
    """16e9 operations a second are 8000 images of a million multiply-adds, and the plan makes 3200."""
    share = by_name(everyone(), int8=16e9, fp32=1e9)["batch_64_share_of_peak"]
    assert share.estimate is not None
    assert share.estimate.value == pytest.approx(40)
    assert share.details["images_per_second_at_peak"] == 8000
    assert "int8" in share.title
    assert not share.is_reached
    unknown = by_name(everyone(), fp32=1e9)["batch_64_share_of_peak"]
    assert unknown.estimate is None
    assert not unknown.is_reached


def test_a_plan_below_the_promised_quality_does_not_count() -> None:
    found = by_name(everyone(make=off_by(4)), int8=16e9, fp32=16e9)
    assert found["batch_64_over_fp32_peer"].details["plan"] == "exact plan"


def test_a_wrong_plan_and_a_wrong_peer_do_not_count() -> None:
    found = by_name(everyone(wrong="silent zeros"), int8=16e9)
    assert found["batch_64_over_any_peer"].details["plan"] == "exact plan"
    comparison = at(64, measured("wrong", [0.01], wrong="noise"), measured("right", [0.5]))
    best = summarize(comparison.measured).best_peer
    assert best is not None
    assert best.name == "right"


def test_without_a_plan_nothing_is_reached() -> None:
    found = by_name(at(64, measured("eager", [0.1])), int8=16e9)
    assert [target.is_reached for target in found.values()] == [False] * 4
    assert found["batch_64_exact"].estimate is None
    assert found["batch_64_exact"].details["plan"] == "none"


def test_each_batch_size_has_its_own_promises() -> None:
    assert list(by_name(everyone(1), everyone(8))) == ["batch_1_over_any_peer", "batch_1_exact", "batch_8_exact"]


@pytest.mark.parametrize(
    ("estimate", "is_reached", "is_certain"),
    [
        (Estimate(2.1, 2.0, 2.3), True, True),
        (Estimate(2.1, 1.9, 2.3), True, False),
        (Estimate(1.9, 1.8, 2.1), False, False),
        (Estimate(1.9, 1.8, 1.95), False, True),
        (None, False, True),
    ],
)
def test_a_target_is_reached_from_below(estimate: Estimate | None, is_reached: bool, is_certain: bool) -> None:
    target = Target("name", "title", "x", 2.0, estimate)
    assert (target.is_reached, target.is_certain) == (is_reached, is_certain)


def test_the_summary_says_names_and_ratios() -> None:
    document = summarize(everyone().measured).to_json()
    json.dumps(document, allow_nan=False)
    assert {key: document[key] for key in ("best_peer_fp32", "best_peer", "best_plan", "best_exact_plan")} == {
        "best_peer_fp32": "compiled",
        "best_peer": "autocast",
        "best_plan": "plan",
        "best_exact_plan": "exact plan",
    }
    assert document["best_plan_over_best_peer"]["value"] == pytest.approx(2.5)
    assert summarize([measured("eager", [0.1], make=right)]).to_json()["best_plan_over_best_peer"] is None
