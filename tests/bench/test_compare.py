"""Two documents: real changes are told from noise, and whatever cannot be compared is said."""

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_bench.compare import Regression, compare_documents, read_document
from ganport_bench.errors import BenchError
from hypothesis import given
from hypothesis import strategies as st

Document = dict[str, Any]


def row(system: str, batch: int, rate: float, spread: float = 0.05, **others: Any) -> dict[str, Any]:
    interval = {"low": rate * (1 - spread), "high": rate * (1 + spread)}
    facts = {"system": system, "kind": "plan", "batch": batch, "images_per_second": rate, "correct": True}
    return {**facts, "psnr_db": 50.0, **interval, **others}


def document(*rows: dict[str, Any], **others: Any) -> Document:
    machine = {"cpu": "a processor", "cores": 2, "gpus": [], "packages": {"numpy": "2.0"}}
    ratio = {"value": 2.0, "low": 1.9, "high": 2.1}
    summary = {"64": {"best_plan": "a", "best_plan_over_best_peer": ratio}}
    return {"format": 2, "machine": machine, "rows": list(rows), "summary": summary, "missing": {}, **others}


def worse(found: Regression) -> list[str]:
    return [change.what for change in found.changes if change.verdict == "worse"]


rates = st.lists(st.tuples(st.floats(1, 1e5), st.floats(0, 0.3)), min_size=1, max_size=6)


@given(rates, st.floats(-0.9, 0.9))
def test_what_stays_within_the_intervals_is_noise(measured: list[tuple[float, float]], share: float) -> None:
    old = document(*(row(f"s{index}", 8, rate, spread) for index, (rate, spread) in enumerate(measured)))
    new = document(
        *(row(f"s{index}", 8, rate * (1 + share * spread), spread) for index, (rate, spread) in enumerate(measured))
    )
    assert not compare_documents(old, new).is_regression


@given(rates)
def test_half_the_speed_is_a_regression(measured: list[tuple[float, float]]) -> None:
    old = document(*(row(f"s{index}", 8, rate, spread) for index, (rate, spread) in enumerate(measured)))
    new = document(*(row(f"s{index}", 8, rate / 2, spread) for index, (rate, spread) in enumerate(measured)))
    assert len(worse(compare_documents(old, new))) == len(measured)
    assert not compare_documents(new, old).is_regression


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"correct": False, "note": "grey mush"}, "were right and are wrong now: grey mush"),
        ({"psnr_db": 48.0}, "PSNR fell from 50.0 to 48.0 dB"),
    ],
)
def test_worse_images_are_a_regression_however_fast(changed: dict[str, Any], why: str) -> None:
    found = compare_documents(document(row("a", 1, 100)), document(row("a", 1, 300, **changed)))
    assert next(change.why for change in found.changes if change.verdict == "worse").endswith(why)


def test_a_plan_that_is_gone_is_a_regression_and_a_peer_is_not() -> None:
    old = document(row("a", 1, 100), row("peer", 1, 100, kind="peer"))
    found = compare_documents(old, document(missing={"1": {"a": "no such engine"}}))
    assert worse(found) == ["a, batch 1"]
    assert "not measured now: no such engine" in {change.why for change in found.changes}


def test_a_batch_size_that_was_left_out_is_no_regression() -> None:
    old = document(row("a", 1, 100), row("a", 64, 300))
    left_out = compare_documents(old, document(row("a", 1, 100)))
    skipped = compare_documents(old, document(skipped={"speed": "no torch here"}))
    assert not left_out.is_regression
    assert "not measured now: nothing was measured at this batch size" in {change.why for change in left_out.changes}
    assert not skipped.is_regression
    assert "not measured now: no torch here" in {change.why for change in skipped.changes}


def test_a_worst_image_that_got_much_worse_is_a_regression() -> None:
    def worst(value: float) -> Document:
        return document(row("a", 1, 100, difference={"psnr_db_worst": value}))

    assert compare_documents(worst(40.0), worst(33.0)).is_regression
    assert not compare_documents(worst(40.0), worst(36.0)).is_regression
    assert not compare_documents(worst(89.0), worst(84.0)).is_regression, "rounding"


def test_a_change_below_the_threshold_is_none() -> None:
    old, new = document(row("a", 1, 100, 0.001)), document(row("a", 1, 98, 0.001))
    assert not compare_documents(old, new).is_regression
    assert compare_documents(old, new, threshold=0.01).is_regression


def test_on_other_hardware_ratios_to_the_peers_are_judged() -> None:
    old, new = document(row("a", 64, 100)), document(row("a", 64, 10))
    new["machine"]["cpu"] = "another processor"
    found = compare_documents(old, new)
    assert not found.is_regression
    assert any("cpu was a processor, is another processor" in line for line in found.remarks)
    new["summary"]["64"]["best_plan_over_best_peer"] = {"value": 1.0, "low": 0.9, "high": 1.1}
    assert worse(compare_documents(old, new)) == ["batch 64: best plan over best peer"]


def test_a_longer_start_is_a_regression_and_versions_are_named() -> None:
    def quantity(value: float) -> dict[str, Any]:
        facts = {"part": "start", "system": "ganport as opened", "what": "open", "batch": None, "unit": "ms"}
        return {**facts, "value": value, "low": value * 0.9, "high": value * 1.1}

    old, new = (document(start={"quantities": [quantity(value)]}) for value in (50.0, 90.0))
    new["machine"]["packages"] = {"numpy": "2.1"}
    found = compare_documents(old, new)
    assert worse(found) == ["start: ganport as opened, open, ms"]
    assert found.remarks == ["other versions: numpy 2.0 -> 2.1"]
    assert not compare_documents(new, old).is_regression


def spread_out(rates: list[float], kind: str, spread: float) -> list[dict[str, Any]]:
    return [row(f"{kind} {index}", 1, rate, spread, kind=kind) for index, rate in enumerate(rates)]


def test_two_runs_of_the_same_seldom_differ_although_many_rows_are_compared() -> None:
    random, alarms = np.random.default_rng(7), 0
    truth = np.geomspace(100, 4000, 90)
    for _ in range(100):
        old, new = (truth * np.exp(random.normal(0, 0.05 / 1.96, len(truth))) for _ in range(2))
        one, other = (document(*spread_out(list(map(float, rates)), "plan", 0.05)) for rates in (old, new))
        alarms += compare_documents(one, other).is_regression
    assert alarms <= 8  # 2.5 are expected: intervals of 95 % for all rows together, and one side of them


def test_what_unchanged_peers_scatter_between_runs_is_noise_and_what_they_have_in_common_is_not() -> None:
    def run(plan: float, *peers: float) -> Document:
        return document(row("plan", 1, plan, 0.01), *spread_out(list(peers), "peer", 0.01))

    steady, scattered = [100.0] * 6, [85.0, 115.0, 90.0, 110.0, 80.0, 120.0]
    assert worse(compare_documents(run(100, *steady), run(88, *steady))) == ["plan, batch 1, images/s"]
    assert not compare_documents(run(100, *steady), run(88, *scattered)).is_regression
    assert len(worse(compare_documents(run(100, *steady), run(50, *[50.0] * 6)))) == 7


def test_ratios_to_different_peers_are_not_compared() -> None:
    old, new = (document(summary={"1": {"best_peer": peer, "x_over_best_peer": ratio}}) for peer, ratio in (
        ("ONNX Runtime", {"value": 3.0, "low": 2.9, "high": 3.1}), ("OpenVINO", {"value": 1.0, "low": 0.9, "high": 1.1})
    ))  # fmt: skip
    new["machine"]["cores"] = 64
    (change,) = compare_documents(old, new).changes
    assert (change.verdict, change.why) == ("not judged", "the peer was ONNX Runtime and is OpenVINO")


def test_what_ganport_has_no_part_in_is_shown_and_not_judged() -> None:
    def start(value: float) -> dict[str, Any]:
        facts = {"batch": None, "unit": "ms", "value": value, "low": value * 0.99, "high": value * 1.01}
        return {
            "ways": [{"name": "bare OpenVINO", "kind": "bare"}],
            "quantities": [
                {"part": "import", "system": "torch", "what": "import torch", **facts},
                {"part": "start", "system": "bare OpenVINO", "what": "open", **facts},
            ],
        }

    found = compare_documents(document(start=start(100)), document(start=start(150)))
    assert {(change.verdict, change.why) for change in found.changes} == {("not judged", "ganport has no part in it")}


def test_wrong_answers_of_scenarios_and_of_the_server_are_a_regression() -> None:
    def parts(*, is_right: bool) -> dict[str, Any]:
        result = {"scenario": "Offline", "metric": "throughput", "value": None, "correct": is_right}
        return {"scenarios": {"results": [result]}, "load": {"rates": [{"correct": is_right}], "knee": {}}}

    right, wrong = (document(**parts(is_right=is_right)) for is_right in (True, False))
    assert worse(compare_documents(right, wrong)) == ["Offline", "server under load"]
    assert not compare_documents(wrong, wrong).is_regression


@given(st.sampled_from(["machine", "rows", "summary", "missing", "start", "scenarios", "load", "model"]), st.data())
def test_parts_of_another_form_than_expected_end_in_one_line_or_are_left_out(part: str, data: st.DataObject) -> None:
    value = data.draw(st.recursive(st.none() | st.integers() | st.text(max_size=3), nested, max_leaves=6))
    damaged = document(row("a", 1, 100)) | {part: value}
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(BenchError):
        path = Path(folder) / "damaged.json"
        path.write_text(json.dumps(damaged))
        compare_documents(document(row("a", 1, 100)), read_document(path))


def nested(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = [
        "packages",
        "gpus",
        "1",
        "64",
        "quantities",
        "ways",
        "results",
        "rates",
        "knee",
        "poisson",
        "value",
        "name",
    ]
    return st.lists(children, max_size=3) | st.dictionaries(st.sampled_from(names), children, max_size=3)


def edited(change: Callable[[Document], object]) -> bytes:
    one = document(row("a", 1, 100))
    change(one)
    return json.dumps(one).encode()


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"{", "is no JSON"),
        (b"[]", "no object"),
        (b"\xff\xfe", "is no JSON"),
        (edited(lambda one: one.update(format=7)), "its format is 7"),
        (edited(lambda one: one.pop("machine")), "it lacks machine"),
        (edited(lambda one: one["rows"][0].pop("batch")), r"rows\[0\] names no system"),
        (edited(lambda one: one["rows"][0].update(low=None)), r"rows\[0\], a: images_per_second, low and high"),
        (edited(lambda one: one["rows"][0].update(low=0)), "must be numbers above 0"),
    ],
)
def test_what_is_no_such_document_is_refused_in_one_line(tmp_path: Path, data: bytes, fault: str) -> None:
    path = tmp_path / "document.json"
    path.write_bytes(data)
    with pytest.raises(BenchError, match=fault) as caught:
        read_document(path)
    assert "\n" not in str(caught.value)
