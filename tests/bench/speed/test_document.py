import json
from dataclasses import replace

import numpy as np
import pytest
from ganport_bench.null_backend import Overhead
from ganport_bench.peers.protocol import TRANSFERS
from ganport_bench.speed.document import Results, row, to_json
from ganport_bench.speed.measured import Comparison, Measured
from ganport_bench.speed.report import tables
from ganport_bench.speed.targets import targets_of
from ganport_bench.timing import Estimate
from rich.console import Console, Group

from tests.bench.speed.fakes import ceilings, measured, off_by


def results_of(*those: Measured, stock_note: str = "", missing: dict[str, str] | None = None) -> Results:
    comparison = Comparison(64, those, missing or {})
    of_machine, overhead = ceilings(fp32=1e9), [Overhead(64, Estimate(50.0, 49.0, 51.0))]
    targets = targets_of([comparison], of_machine)
    return Results("the network", stock_note, of_machine, [comparison], overhead, targets)


def shown(results: Results) -> str:
    console = Console(width=220)
    with console.capture() as capture:
        console.print(Group(*tables(results)))
    return capture.get()


def with_calls(count: int) -> Measured:
    """Calls of 1, 2, ... milliseconds."""
    return replace(measured("one", [0.1]), calls=np.arange(1, count + 1) / 1e3)


@pytest.mark.parametrize(
    ("count", "few", "has_last"),
    [
        (19, "p50 and p90 and p99 of 19 calls, where 20 and 100 and 1,000 are wanted", False),
        (100, "p99 of 100 calls, where 1,000 are wanted", False),
        (1_000, "", False),
        (10_000, "", True),
    ],
)
def test_percentiles_of_few_calls_say_so(count: int, few: str, has_last: bool) -> None:
    one = with_calls(count)
    facts = row(one, results_of(one))
    assert facts["samples"] == count
    assert facts["note"] == few
    latency = facts["latency_ms"]
    assert list(latency) == ["p50", "p90", "p99", "p99.9"]
    assert latency["p50"] == pytest.approx((count + 1) / 2)
    assert latency["p90"] < latency["p99"]
    assert (latency["p99.9"] is not None) is has_last


def test_a_row_says_its_rounds_its_copies_and_whether_it_is_wide() -> None:
    one = replace(with_calls(1_000), is_wide=True)
    facts = row(one, results_of(one))
    assert (facts["rounds"], facts["is_wide"]) == (1, True)
    assert facts["transfers"].startswith("none")
    assert "WIDE" in shown(results_of(one))


def test_what_peers_run_in_place_of_a_stock_export_is_said_of_peers_alone() -> None:
    peer, plan = with_calls(1_000), replace(with_calls(1_000), name="two", kind="plan")
    results = results_of(peer, plan, stock_note="on the bundle's own graph")
    notes = {facts["system"]: facts["note"] for facts in to_json(results)["rows"]}
    assert notes == {"one": "on the bundle's own graph", "two": ""}
    assert "as peers are on the bundle's own graph" in shown(results)


def test_the_share_is_of_the_speed_at_the_floor() -> None:
    """1e9 operations a second are 500 images of a million multiply-adds; 64 in 0.2 s are 320 a second."""
    one, half = measured("one", [0.2]), measured("half", [0.2], precision="fp16")
    facts, unknown = (row(which, results_of(one, half)) for which in (one, half))
    assert facts["share_of_ceiling"] == pytest.approx(0.64)
    assert unknown["share_of_ceiling"] is None
    assert "nothing here multiplies matrices in fp16 by itself" in unknown["note"]


def test_a_device_whose_ceilings_nobody_measures_has_rows_without_a_share() -> None:
    """An engine may use a GPU that PyTorch cannot."""
    one = replace(measured("one", [0.2]), transfers=TRANSFERS["cuda"])
    facts = row(one, results_of(one))
    assert facts["share_of_ceiling"] is None
    assert "PyTorch, which measures a GPU's, finds none here" in facts["note"]
    assert results_of(one).ceilings.peak("cuda", "fp32") is None


def test_what_ganport_itself_takes_is_told() -> None:
    results = results_of(measured("one", [0.1]))
    assert to_json(results)["overhead"] == [
        {"system": "null backend", "batch": 64, "microseconds": {"value": 50.0, "low": 49.0, "high": 51.0}}
    ]
    assert "ganport's own code, around an engine that does nothing: 50 us at batch 64" in shown(results)


def test_wrong_rows_and_missing_systems_are_shown_to_people() -> None:
    results = results_of(
        measured("fine", [0.1, 0.1]),
        measured("fast", [0.01, 0.01], make=off_by(9), wrong="PSNR mean 29.0 dB; fp32 must reach 55 dB"),
        missing={"one": "no driver", "two": "no driver"},
    )
    text = shown(results)
    assert "WRONG" in text
    assert "fast: PSNR mean 29.0 dB; fp32 must reach 55 dB" in text
    assert "not measured: one and 1 more: no driver" in text
    assert "nothing to compare" in text
    document = to_json(results)
    json.dumps(document, allow_nan=False)
    assert {facts["system"]: facts["correct"] for facts in document["rows"]} == {"fine": True, "fast": False}
