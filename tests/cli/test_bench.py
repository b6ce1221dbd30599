"""`ganport bench`: one command whose name is left out, and two more; documents alone on stdout."""

import ctypes
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from ganport_bench.document import compose
from ganport_bench.machine import Watch
from ganport_bench.run import BenchOptions, BenchRun
from ganport_cli.terminal import own_stdout

from tests.cli.conftest import Ganport
from tests.support.bundles import Weights, add_probe, make_bundle
from tests.support.tiny_run import QUICKEST, measure_quickly

SHORT = replace(
    QUICKEST, levels=(1, 4), window_seconds=0.1, most_windows=4, fractions=(0.3,), rate_seconds=0.3, samples=20,
    most_rate_seconds=0.5, lead_seconds=0.1, beyond=1,
)  # fmt: skip


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANPORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ganport_bench.effort.QUICK", SHORT)
    monkeypatch.setattr("ganport_bench.effort.ROUNDS", 0.0)
    monkeypatch.setattr("ganport_bench.effort.TUNING", 0.03)
    measure_quickly(monkeypatch)


@pytest.fixture(scope="module")
def measured_bundle(tmp_path_factory: pytest.TempPathFactory, weights: Weights) -> Path:
    return add_probe(make_bundle(tmp_path_factory.mktemp("bench") / "tiny.ganport", weights), weights)


def test_help_shows_all_three_commands_each_with_an_example(ganport: Ganport) -> None:
    shown = ganport("bench", "--help").stdout
    for example in ("ganport bench runs/", "ganport bench compare old.json", "ganport bench load http://"):
        assert f"Example: {example}" in shown
    for option in ("TARGET", "--bundle", "--report", "--csv", "--batches", "--parts", "--seconds", "--quick", "--json"):
        assert option in shown
    assert ganport("bench", "some.ganport", "--help").stdout == shown
    for name, option in (("compare", "OLD.json"), ("load", "--model")):
        own = ganport("bench", name, "--help").stdout
        assert f"Example: ganport bench {name} " in own
        assert option in own


@pytest.mark.parametrize(
    "words",
    [
        ("b.ganport", "--batches", "1,x"),
        ("b.ganport", "--batches", "0"),
        ("b.ganport", "--parts", "sped"),
        ("b.ganport", "--parts", "start", "--csv", "load.csv"),
        ("b.ganport", "--csv", "."),
        ("b.ganport", "--csv", os.devnull),
        ("b.ganport", "--csv", "pyproject.toml/load.csv"),
        ("load", "http://127.0.0.1:1", "--csv", "."),
        ("load", "http://127.0.0.1:1", "--bound-ms", "nan"),
        ("load", "http://127.0.0.1:1", "--bound-ms", "0"),
        ("b.ganport", "--seconds", "nan"),
        ("b.ganport", "--seconds", "1"),
        ("b.ganport", "--loud"),
        ("--quick",),
        ("compare", "old.json"),
    ],
)
def test_bad_usage_is_one_line_and_exits_2(ganport: Ganport, words: tuple[str, ...]) -> None:
    outcome = ganport("bench", *words)
    assert outcome.exit_code == 2
    (line,) = outcome.stderr.splitlines()
    assert line.startswith(("ganport bench: ", "ganport bench load: "))


@pytest.fixture
def skipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """What a run then has skipped; it takes no time and finds nothing else."""
    parts: dict[str, str] = {}

    def measured(options: BenchOptions, folder: Path, on_step: object) -> BenchRun:
        model = {"run": None, "bundle": "b", "bundle_digest": "0", "is_trained": True, "reference": None, "tuned": ""}
        facts = {"machine": Watch().finished(), "model": model, "effort": options.effort}
        return BenchRun(compose(**facts, found={}, skipped=parts, took_seconds={}), {})  # type: ignore[arg-type]

    monkeypatch.setenv("GANPORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ganport_bench.run.run", measured)
    return parts


def refuse(*words: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_part_that_was_asked_for_and_broke_exits_1_after_all_else_is_written(
    ganport: Ganport, skipped: dict[str, str], tmp_path: Path
) -> None:
    skipped["start"] = "it broke down: ValueError: no"
    outcome = ganport("bench", "b.ganport", "--parts", "start", "--report", tmp_path / "report", "--json")
    assert (outcome.exit_code, outcome.last_line) == (1, "ganport bench: start: it broke down: ValueError: no")
    assert outcome.document["skipped"] == skipped
    assert json.loads((tmp_path / "report" / "results.json").read_text()) == outcome.document
    assert ganport("bench", "b.ganport").exit_code == 0, "nobody asked for it by name"


def test_a_csv_that_there_is_nothing_for_is_said(ganport: Ganport, skipped: dict[str, str], tmp_path: Path) -> None:
    skipped["load"] = "no driver"
    outcome = ganport("bench", "b.ganport", "--csv", tmp_path / "load.csv")
    assert (outcome.exit_code, outcome.last_line) == (1, "ganport bench: no CSV: load: no driver")
    assert not (tmp_path / "load.csv").exists()


def test_a_report_that_cannot_be_written_loses_nothing(
    ganport: Ganport, skipped: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganport_bench.page.write_report", refuse)
    outcome = ganport("bench", "b.ganport", "--report", tmp_path / "report", "--json")
    kept = tmp_path / "cache" / "bench.json"
    assert outcome.exit_code == 1
    assert outcome.last_line.endswith(f"No space left on device; what was measured is kept in {kept}")
    assert json.loads(kept.read_text()) == outcome.document


def test_where_nothing_can_be_written_the_document_is_printed(
    ganport: Ganport, skipped: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganport_bench.page.write_report", refuse)
    monkeypatch.setattr("ganport_runtime.atomic.write_bytes", refuse)
    outcome = ganport("bench", "b.ganport", "--report", tmp_path / "report")
    assert (outcome.exit_code, outcome.document["format"]) == (1, 2)
    assert outcome.last_line.endswith("what was measured is on stdout")


def test_a_defect_of_what_people_read_loses_nothing(
    ganport: Ganport, skipped: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganport_bench.document.all_tables", lambda _document: [1 / 0])
    with pytest.raises(ZeroDivisionError):
        ganport("bench", "b.ganport")
    assert json.loads((tmp_path / "cache" / "bench.json").read_text())["format"] == 2


def test_a_report_is_refused_before_anything_is_measured(ganport: Ganport, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = ganport("bench", "b.ganport", "--report", "/")
    assert (outcome.exit_code, len(outcome.stderr.splitlines())) == (1, 1)
    assert "is a mount point" in outcome.last_line
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert ganport("bench", "b.ganport", "--report", "r").last_line.endswith("pip install 'ganport[bench]'")


def test_what_is_neither_bundle_nor_run_is_one_line(ganport: Ganport, tmp_path: Path) -> None:
    outcome = ganport("bench", tmp_path, "--json")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    (line,) = [line for line in outcome.stderr.splitlines() if line.strip()]
    assert line.startswith(f"ganport bench: {tmp_path} holds neither manifest.json nor config.json; name a bundle")


@pytest.mark.slow
def test_a_bundle_alone_is_measured(ganport: Ganport, quickly: None, measured_bundle: Path, tmp_path: Path) -> None:
    words = ("--parts", "speed", "--batches", "1,3", "--quick", "--seconds", "20", "--json")
    outcome = ganport("bench", measured_bundle, *words)
    assert outcome.exit_code == 0, outcome.stderr
    document = outcome.document
    assert document["format"] == 2
    assert document["model"]["run"] is None
    assert document["model"]["reference"].startswith("generator-deconv-fp32 by onnxruntime on cpu; beside the float64")
    rows = {(row["system"], row["batch"]): row for row in document["rows"]}
    assert "for lack of a stock export" in rows["ONNX Runtime", 3]["note"]
    assert rows["ganport as opened", 1]["correct"]
    assert "give the run directory instead" in document["missing"]["1"]["PyTorch, bf16 autocast"]
    assert not list((tmp_path / "cache").rglob("generator-*.json")), "the user's own tuning records are left alone"
    for part in ("Batch 3", "Images are compared with generator-deconv-fp32", "Quick: few rounds", "It took: tuning"):
        assert part in outcome.stderr


@pytest.mark.slow
def test_a_server_alone_is_loaded(ganport: Ganport, quickly: None, measured_bundle: Path, tmp_path: Path) -> None:
    words = ("--quick", "--bound-ms", "500", "--csv", tmp_path / "load.csv", "--json")
    outcome = ganport("bench", "load", measured_bundle, *words)
    assert outcome.exit_code == 0, outcome.stderr
    assert set(outcome.document) == {"format", "machine", "load"}
    assert [row["concurrency"] for row in outcome.document["load"]["concurrency"]] == [1, 4]
    assert "within 500.0 ms (as given)" in outcome.document["load"]["knee"]["definition"]
    assert (tmp_path / "load.csv").read_text().startswith("Concurrency,Inferences/Second")
    assert outcome.last_line.startswith(f"Wrote {tmp_path / 'load.csv'}")
    assert ganport("bench", "load", "ftp://x").exit_code == 1


def document_of(folder: Path, name: str, images_per_second: float) -> Path:
    """One row, within 1 %."""
    row = {"system": "plan", "kind": "plan", "batch": 8, "images_per_second": images_per_second, "correct": True}
    row |= {"low": 0.99 * images_per_second, "high": 1.01 * images_per_second}
    machine = {"cpu": "CPU", "cores": 2, "gpus": [], "packages": {}}
    path = folder / name
    path.write_text(json.dumps({"format": 2, "machine": machine, "rows": [row], "summary": {}}))
    return path


def test_a_regression_exits_1_with_one_line_and_its_document(ganport: Ganport, tmp_path: Path) -> None:
    old, same, slow = (
        document_of(tmp_path, f"{name}.json", speed) for name, speed in (("old", 100), ("same", 101), ("slow", 50))
    )
    fine = ganport("bench", "compare", old, same, "--json")
    assert fine.exit_code == 0
    assert fine.document["new"][str(same)]["is_regression"] is False
    assert fine.last_line == "0 worse, 0 better, 1 same: no regression"
    worse = ganport("bench", "compare", old, same, slow, "--json")
    assert worse.exit_code == 1
    assert worse.document["new"][str(slow)]["is_regression"] is True
    said = f"ganport bench: {slow} is worse than {old}: plan, batch 8, images/s: 0.50 times what it was"
    assert worse.last_line == said


def test_what_cannot_be_compared_is_one_line(ganport: Ganport, tmp_path: Path) -> None:
    outcome = ganport("bench", "compare", tmp_path / "old.json", tmp_path / "new.json", "--json")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.last_line.startswith(f"ganport bench: {tmp_path / 'old.json'} cannot be read: ")


def test_libraries_may_print_without_spoiling_the_document(capfd: pytest.CaptureFixture[str]) -> None:
    with own_stdout():
        print("from Python")
        os.write(1, b"from a descriptor\n")
        ctypes.CDLL(None).puts(b"from C, which writes it later")
        subprocess.run(["echo", "from another process"], check=True)
    print("{}")
    out, err = capfd.readouterr()
    assert out == "{}\n"
    assert {line for line in err.splitlines() if line} == {
        "from Python",
        "from a descriptor",
        "from C, which writes it later",
        "from another process",
    }


INTERRUPTED = """
import os, signal, sys
from ganport_bench import speed
from ganport_cli import main

def interrupt(*_, **__):
    os.kill(os.getpid(), signal.SIGINT)

speed.measure_limits = interrupt
main()
"""


def test_ctrl_c_leaves_nothing_half_written(measured_bundle: Path, tmp_path: Path) -> None:
    words = ["bench", str(measured_bundle), "--quick", "--seconds", "20", "--parts", "speed", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *words],
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.splitlines()[-1] == "ganport bench: interrupted"
    assert not list(tmp_path.glob("ganport-bench-*"))
