"""The four scenarios on a real bundle through the real LoadGen."""

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from ganport_bench.errors import BenchError
from ganport_bench.scenarios import Scenarios, measure_scenarios, tables
from rich.console import Console

from tests.bench.scenarios.conftest import QUICKEST

NAMES = ["SingleStream", "MultiStream", "Server", "Offline"]
IN_SUMMARY = {
    "SingleStream": (r"90\.0th percentile latency \(ns\) : (\d+)", 1e-6),
    "MultiStream": (r"99\.0th percentile latency \(ns\) : (\d+)", 1e-6),
    "Server": (r"target_qps : ([\d.]+)", 1.0),
    "Offline": (r"Samples per second: ([\d.e+]+)", 1.0),
}


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="module")
def measured(bundle: Path, logs: Path) -> Scenarios:
    return measure_scenarios(bundle, QUICKEST, logs, lambda _step: None, latency_bound=0.5)


@pytest.fixture(scope="module")
def document(measured: Scenarios) -> Any:
    return json.loads(json.dumps(measured.to_json(), allow_nan=False))


def text_of(scenarios: Scenarios) -> str:
    console = Console(file=io.StringIO(), width=400)
    for table in tables(scenarios):
        console.print(table)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_every_metric_is_that_of_loadgens_own_summary(document: Any, logs: Path) -> None:
    assert [result["scenario"] for result in document["results"]] == NAMES
    for result in document["results"]:
        pattern, factor = IN_SUMMARY[result["scenario"]]
        summary = (logs / result["logs"] / "mlperf_log_summary.txt").read_text()
        found = re.search(pattern, summary)
        assert found
        assert result["value"] == pytest.approx(float(found[1]) * factor, rel=1e-4)
        assert f"Result is : {result['loadgen_says']}" in summary


def test_a_short_run_is_invalid_and_says_why(document: Any, measured: Scenarios) -> None:
    for result in document["results"]:
        assert result["loadgen_says"] == "INVALID"
        assert "min duration: shorter than 10 s" in result["reasons"]
    text = text_of(measured)
    assert "Runs were ended after 0.1 s, below LoadGen's minimum of 10 s: INVALID by that alone" in text
    assert "not an MLPerf result" in text
    assert document["settings"]["what"].endswith("not an MLPerf result")


def test_responses_that_loadgen_kept_are_those_of_sample(document: Any) -> None:
    for result in document["results"]:
        assert result["responses"]["checked"] > 0
        assert result["responses"]["differing"] == 0
        assert result["correct"]


def test_settings_are_those_in_effect(document: Any) -> None:
    single, multi, server, offline = (result["settings"] for result in document["results"])
    assert all(one["min_duration_ms"] == 10_000 for one in (single, multi, server, offline))
    assert single["max_duration_ms"] == 100
    assert multi["samples_per_query"] == 8
    assert server["target_latency_ns"] == 500_000_000
    assert server["target_latency_percentile"] == 0.99
    assert offline["samples_per_query"] == document["results"][3]["samples"]
    assert {"qsl_rng_seed", "sample_index_rng_seed", "schedule_rng_seed"} <= single.keys()


def test_a_system_that_makes_nothing_is_beside_each(document: Any) -> None:
    single, multi, _, offline = document["results"]
    assert 0 < single["null_microseconds"] < 1e3 * single["latency_ms"]["mean"]
    assert 0 < multi["null_microseconds"] < 1e3 * multi["latency_ms"]["mean"]
    assert 0 < offline["null_microseconds"] < 1e6 / offline["value"]


def test_the_servers_search_is_written_down(document: Any, logs: Path) -> None:
    search = document["results"][2]["search"]
    assert search["latency_bound_ms"] == 500
    assert search["latency_bound"] == "given"
    assert [trial["is_confirmation"] for trial in search["trials"][:2]] == [False, False]
    assert search["trials"][-1]["is_confirmation"]
    assert all((logs / trial["logs"] / "mlperf_log_detail.txt").is_file() for trial in search["trials"])
    assert search["trials"][-1]["target_queries_per_second"] == pytest.approx(document["results"][2]["value"], rel=1e-4)


def test_nothing_but_whole_folders_is_left(document: Any, logs: Path) -> None:
    assert sorted(path.name for path in logs.iterdir()) == sorted(NAMES)


def test_a_bound_that_nothing_keeps_is_no_rate(bundle: Path, tmp_path: Path) -> None:
    scenarios = measure_scenarios(bundle, QUICKEST, tmp_path, lambda _step: None, latency_bound=1e-6)
    server = scenarios.to_json()["results"][2]
    assert server["value"] is None
    assert "performance constraints: the latency bound is not kept" in server["reasons"]
    assert not any(trial["keeps_bound"] for trial in server["search"]["trials"])
    assert "none" in text_of(scenarios)


@pytest.mark.parametrize("bound", [0.0, -1.0, float("nan")])
def test_a_bound_has_to_be_a_time(bundle: Path, tmp_path: Path, bound: float) -> None:
    with pytest.raises(BenchError, match="more than 0 is wanted"):
        measure_scenarios(bundle, QUICKEST, tmp_path, lambda _step: None, latency_bound=bound)


def test_without_loadgen_the_extra_is_named(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlperf_loadgen", None)
    with pytest.raises(BenchError, match=r"pip install 'ganport\[bench\]'"):
        measure_scenarios(bundle, QUICKEST, tmp_path, lambda _step: None)
