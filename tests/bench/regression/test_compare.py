"""Two documents: real changes are told from noise, and whatever cannot be compared is said."""

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ganport_bench.errors import BenchError
from ganport_bench.regression import Regression, compare_documents, read_document, tables
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

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


@given(rates)
def test_a_document_is_no_regression_of_itself(measured: list[tuple[float, float]]) -> None:
    one = document(*(row(f"s{index}", 8, rate, spread) for index, (rate, spread) in enumerate(measured)))
    found = compare_documents(one, copy.deepcopy(one))
    assert not found.is_regression
    assert {change.verdict for change in found.changes} == {"same"}


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
        facts = {"part": "opening", "system": "ganport", "what": "open", "batch": None, "unit": "ms"}
        return {**facts, "value": value, "low": value * 0.9, "high": value * 1.1}

    old, new = (document(start={"quantities": [quantity(value)]}) for value in (50.0, 90.0))
    new["machine"]["packages"] = {"numpy": "2.1"}
    found = compare_documents(old, new)
    assert worse(found) == ["start: ganport, open, ms"]
    assert found.remarks == ["other versions: numpy 2.0 -> 2.1"]
    assert not compare_documents(new, old).is_regression


def test_scenarios_and_the_knee_are_shown_and_not_judged() -> None:
    def parts(value: float) -> dict[str, Any]:
        result = {"scenario": "Offline", "metric": "samples a second", "value": value, "unit": "samples/s"}
        knee = {"definition": "some", "poisson": {"held_per_second": value}}
        return {"scenarios": {"results": [result]}, "load": {"knee": knee}}

    found = compare_documents(document(**parts(100.0)), document(**parts(10.0)))
    shown = {change.what: change.ratio for change in found.changes if change.verdict == "not judged"}
    assert shown == {"Offline: samples a second, samples/s": 0.1, "server, poisson arrivals: knee, requests/s": 0.1}


def test_people_see_what_got_worse_and_one_line_that_says_it_all() -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    for part in tables(compare_documents(document(row("a", 1, 100)), document(row("a", 1, 40)))):
        console.print(part)
    text = console.export_text()
    assert "0.400" in text
    assert "1 worse, 0 better, 1 same: a regression" in text


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
        (edited(lambda one: one.pop("machine")), "it lacks one of machine"),
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


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"none\.json cannot be read: No such file"):
        read_document(tmp_path / "none.json")
