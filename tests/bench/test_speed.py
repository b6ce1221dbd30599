"""The part `speed` of the document, its thresholds, and the tables that are made of it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ganport_bench.baselines import TRANSFERS
from ganport_bench.comparison import Comparison, Measured
from ganport_bench.figures import Figure
from ganport_bench.null_backend import Overhead
from ganport_bench.speed import Speed, summary, tables, thresholds
from ganport_bench.tables import Table
from ganport_bench.timing import Estimate

from tests.bench.fake_systems import ceilings, measured, off_by


def speed_of(*those: Measured, stock_note: str = "", missing: dict[str, str] | None = None) -> Speed:
    overhead = [Overhead(64, Estimate(50.0, 49.0, 51.0))]
    return Speed("the network", stock_note, ceilings(fp32=1e9), [Comparison(64, those, missing or {})], overhead)


def row(one: Measured, **more: Any) -> dict[str, Any]:
    (found,) = speed_of(one, **more).to_json()["rows"]
    return dict(found)


def with_calls(count: int) -> Measured:
    """Calls of 1, 2, ... milliseconds."""
    return replace(measured("one", [0.1]), calls=np.arange(1, count + 1) / 1e3)


@pytest.mark.parametrize(
    ("count", "few", "has_last"),
    [(19, ("19", "20", "100", "1,000"), False), (100, ("100", "1,000"), False), (1_000, (), False), (10_000, (), True)],
)
def test_percentiles_of_few_calls_say_so(count: int, few: Sequence[str], has_last: bool) -> None:
    facts = row(with_calls(count))
    assert facts["samples"] == count
    assert bool(facts["note"]) is bool(few)
    assert all(number in facts["note"] for number in few)
    latency = facts["latency_ms"]
    assert list(latency) == ["p50", "p90", "p99", "p99.9"]
    assert latency["p50"] == pytest.approx((count + 1) / 2)
    assert latency["p90"] < latency["p99"]
    assert (latency["p99.9"] is not None) is has_last


def test_what_baselines_run_in_place_of_a_stock_export_is_said_of_them_alone() -> None:
    peer, plan = with_calls(1_000), replace(with_calls(1_000), name="two", kind="plan")
    rows = speed_of(peer, plan, stock_note="on the bundle's own graph").to_json()["rows"]
    assert {facts["system"]: facts["note"] for facts in rows} == {"one": "on the bundle's own graph", "two": ""}


def test_the_share_is_of_the_speed_at_the_floor() -> None:
    """1e9 operations a second are 500 images of a million multiply-adds; 64 in 0.2 s are 320 a second."""
    assert row(measured("one", [0.2]))["share_of_ceiling"] == pytest.approx(0.64)
    unknown = row(measured("half", [0.2], precision="fp16"))
    assert unknown["share_of_ceiling"] is None
    assert "no share of a ceiling" in unknown["note"]
    on_gpu = replace(measured("one", [0.2]), transfers=TRANSFERS["cuda"])  # an engine may use a GPU that PyTorch cannot
    assert row(on_gpu)["share_of_ceiling"] is None
    assert speed_of(on_gpu).ceilings.peak("cuda", "fp32") is None


# ---- the best and the thresholds ---------------------------------------------------------------------------------

# The machine is half as fast in the second round: only a ratio round by round is the same in both.
ROUNDS = (1.0, 2.0, 1.0)


def seconds(one: float) -> list[float]:
    return [one * slower for slower in ROUNDS]


def everyone(batch: int = 64, **of_plan: Any) -> Comparison:
    plan: dict[str, Any] = {"kind": "plan", "precision": "int8", "make": off_by(1), **of_plan}
    those = (
        measured("eager", seconds(0.10), batch=batch),
        measured("compiled", seconds(0.08), batch=batch),
        measured("autocast", seconds(0.05), batch=batch, precision="bf16", make=off_by(1)),
        measured("exact plan", seconds(0.07), batch=batch, kind="plan"),
        measured("plan", seconds(0.02), batch=batch, **plan),
    )
    return Comparison(batch, those, {})


def by_name(*comparisons: Comparison, **operations: float) -> dict[str, Figure]:
    return {figure.name: figure for figure in thresholds(comparisons, ceilings((1, 8, 64), **operations))}


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
    assert not share.is_reached
    unknown = by_name(everyone(), fp32=1e9)["batch_64_share_of_peak"]
    assert (unknown.estimate, unknown.is_reached) == (None, False)


def test_plans_below_the_wanted_quality_and_wrong_ones_do_not_count() -> None:
    for of_plan in ({"make": off_by(4)}, {"wrong": "silent zeros"}):
        found = by_name(everyone(**of_plan), int8=16e9, fp32=16e9)
        assert found["batch_64_over_fp32_peer"].details["plan"] == "exact plan"


def test_the_summary_says_names_and_ratios() -> None:
    document = json.loads(json.dumps(summary(everyone().measured), allow_nan=False))
    assert {key: document[key] for key in ("best_peer_fp32", "best_peer", "best_plan", "best_exact_plan")} == {
        "best_peer_fp32": "compiled",
        "best_peer": "autocast",
        "best_plan": "plan",
        "best_exact_plan": "exact plan",
    }
    assert document["best_plan_over_best_peer"]["value"] == pytest.approx(2.5)
    assert summary([measured("eager", [0.1])])["best_plan_over_best_peer"] is None


# ---- tables ------------------------------------------------------------------------------------------------------


def shown(speed: Speed) -> dict[str, Table]:
    document = json.loads(json.dumps({**speed.to_json(), "model": {"reference": speed.standard}}, allow_nan=False))
    return {table.title: table for table in tables(document)}


def test_tables_show_the_fastest_first_plans_in_bold_wrong_and_missing_ones() -> None:
    speed = speed_of(
        measured("fine", [0.1, 0.1]),
        measured("plan", [0.05, 0.05], kind="plan"),
        replace(measured("fast", [0.01, 0.01], make=off_by(9), wrong="29.0 dB"), is_wide=True),
        missing={"one": "no driver", "two": "no driver"},
    )
    found = shown(speed)
    batch = found["Batch 64"]
    assert [cells[0] for cells in batch.rows] == ["fast", "plan", "fine"]
    assert list(batch.bold) == [1]
    assert any("WRONG" in cell for cell in batch.rows[0])
    assert "wide" in batch.rows[0][3]
    assert "fast: 29.0 dB" in batch.note
    assert [cells[batch.columns.index("x best fp32 peer")] for cells in batch.rows[1:]] == ["2.00", "1.00"]
    about = found["About these figures"].note
    assert "the network" in about
    assert "one, two: no driver" in about
    assert "50.0" in found["ganport's own code, around an engine that does nothing"].rows[0]
    assert list(found)[-1] == "Thresholds"


def test_tables_show_a_document_that_lacks_what_came_later() -> None:
    document = json.loads(json.dumps(speed_of(measured("fine", [0.1])).to_json()))
    rows = [{key: value for key, value in one.items() if key != "share_of_ceiling"} for one in document["rows"]]
    assert tables({"rows": rows, "summary": document["summary"]})
