"""`ganport tune`: a table for people, one document for programs, and a record that the next command uses."""

import subprocess
import sys
from pathlib import Path

import pytest
from ganport_runtime import machine
from ganport_runtime.backends import engine_versions
from ganport_runtime.batches import BUCKETS

from tests.cli.conftest import Ganport
from tests.support.bundles import Weights, make_variety


@pytest.fixture(autouse=True)
def _own_cache_and_short_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANPORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ganport_runtime.tuning.tuner.TURN_SECONDS", 0.001)
    monkeypatch.setattr("ganport_runtime.tuning.timing.MOST_ROUNDS", 2)


@pytest.fixture
def variety(tmp_path: Path, weights: Weights) -> Path:
    return make_variety(tmp_path / "variety.ganport", weights)


@pytest.mark.slow
def test_it_measures_shows_and_remembers(ganport: Ganport, variety: Path, tmp_path: Path) -> None:
    outcome = ganport("tune", variety, "--min-psnr", "60", "--json")
    assert outcome.exit_code == 0
    document = outcome.document
    assert set(document["buckets"]) == {str(bucket) for bucket in BUCKETS}
    assert document["bundle"] == str(variety)
    assert document["host"]["cores"] == machine.facts()["cores"]
    assert document["host"]["engines"] == engine_versions()
    assert document["budget"] == {"min_psnr_db": 60.0, "max_worst": None}
    plans = {plan["plan"]: plan for plan in document["plans"]}
    for bucket, best in document["buckets"].items():
        assert best["images_per_second"] == plans[best["plan"]]["images_per_second"][bucket]
        assert best["latency_ms"] == plans[best["plan"]]["latency_ms"][bucket]
    assert document["choice"]["plan"] in plans
    assert document["choice"]["certain"] in (True, False)
    assert document["plans_per_batch"]["adds_percent"] >= 0
    assert {plan["precision"] for plan in plans.values()} <= {"fp32", "bf16"}
    refused = {item["plan"]: item["reason"] for item in document["refused"]}
    assert "wanted a mean PSNR of 60 dB or more" in refused["generator-phase-int8 by onnxruntime on cpu"]
    assert Path(document["record"]).is_relative_to(tmp_path / "cache" / "tuning")
    for part in (
        "generator-deconv-fp32",
        "onnxruntime",
        "plan: ",
        "batch 64: ",
        "times the untuned plan",
        "remembered in ",
    ):
        assert part in outcome.stderr
    generated = ganport("generate", variety, "--count", "3", "--out", tmp_path / "three.npy", "--json")
    assert generated.document["plan"]["tuned"] is True


@pytest.mark.parametrize(
    "words",
    [
        ("--min-psnr", "-1"),
        ("--min-psnr", "101"),
        ("--max-worst", "256"),
        ("--for-batch", "0"),
        ("--seconds", "0"),
        ("--min-psnr", "x"),
        ("--seconds", "inf"),
        ("--seconds", "nan"),
        ("--min-psnr", "nan"),
    ],
)
def test_bad_usage_exits_2(ganport: Ganport, variety: Path, words: tuple[str, str]) -> None:
    outcome = ganport("tune", variety, *words)
    assert outcome.exit_code == 2
    assert words[0] in outcome.last_line


@pytest.mark.slow
def test_the_reference_itself_keeps_every_budget(ganport: Ganport, variety: Path) -> None:
    document = ganport("tune", variety, "--min-psnr", "100", "--max-worst", "0", "--json").document
    assert {plan["largest_difference"] for plan in document["plans"]} == {0}
    assert document["reference"] in {plan["plan"] for plan in document["plans"]}


def test_a_record_that_cannot_be_written_is_a_failure(
    ganport: Ganport, variety: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("GANPORT_CACHE", str(tmp_path / "file"))
    outcome = ganport("tune", variety, "--seconds", "1", "--json")
    assert outcome.exit_code == 1
    assert outcome.document["record"] is None
    assert outcome.document["plans"]
    assert outcome.last_line.startswith("ganport tune: the record could not be written, so nothing is remembered: ")
    assert outcome.stderr.count("could not be written") == 1


INTERRUPTED = """
import os, signal, sys
import ganport_runtime.tuning.tuner
from ganport_cli import main

measure = ganport_runtime.tuning.tuner.tune

def tune(*arguments, on_progress, **options):
    def interrupt(*step):
        on_progress(*step)
        os.kill(os.getpid(), signal.SIGINT)
    return measure(*arguments, on_progress=interrupt, **options)

ganport_runtime.tuning.tuner.tune = tune
main()
"""


def test_ctrl_c_says_that_nothing_was_remembered(variety: Path, tmp_path: Path) -> None:
    words = [sys.executable, "-c", INTERRUPTED, "tune", str(variety), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stdout == ""
    *_, said, last = filter(None, done.stderr.splitlines())  # the bar leaves an empty line
    assert said == "the tuning was not finished: nothing of it was remembered"
    assert last == "ganport tune: interrupted"
    assert not list((tmp_path / "cache").rglob("generator-*.json"))
