"""`ganport train` as its users call it."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ganport_cli.app import run as ganport
from ganport_train.checkpoints import whole

SMALL = ["--resolution", "16", "--width", "4", "--latent-dim", "8", "--batch-size", "8", "--threads", "1"]


def command(data: Path | str, out: Path, *more: str) -> list[str]:
    return ["train", "--data", str(data), "--out", str(out), *SMALL, *more]


def test_a_run_prints_its_settings_once_and_a_document_on_stdout(
    image_archive: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ganport(command(image_archive, tmp_path / "run", "--steps", "4", "--json")) == 0
    shown = capfd.readouterr()
    document = json.loads(shown.out)
    assert document["step"] == 4
    assert document["interrupted"] is False
    assert document["best"] == "step-000004"
    assert shown.err.count("learning_rate") == 1
    assert "step-000004 saved: frechet distance" in shown.err
    assert "D(real)" in shown.err
    assert "images/s" in shown.err
    assert "ganport export" in shown.err


def test_a_dry_run_prints_the_effective_settings_and_writes_nothing(
    image_archive: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = command(image_archive, tmp_path / "run", "--preset", "article", "--dry-run", "--json")
    assert ganport(words) == 0
    shown = capfd.readouterr()
    document = json.loads(shown.out)
    assert (document["preset"], document["kernel"], document["batch_size"]) == ("article", 5, 8)
    assert document["channels"] == 3
    assert "40 images" in shown.err
    assert list(tmp_path.iterdir()) == [image_archive]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--preset", "dcgan", "--penalty", "1"], "ill-defined"),
        (["--preset", "vae"], "no preset is called 'vae'"),
        (["--batch-size", "41"], "--batch-size 41 is more than the 40 images"),
        (["--background", "whitish"], "--background 'whitish' is no color"),
        (["--steps", "many"], "--steps"),
        (["--colour"], "--colour"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_bad_usage_is_one_line_and_exit_2(
    image_archive: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    more: list[str],
    message: str,
    dry: list[str],
) -> None:
    assert ganport(command(image_archive, tmp_path / "run", *more, *dry)) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert len(shown.err.splitlines()) == 1
    assert message in shown.err
    assert not (tmp_path / "run").exists()


def test_missing_data_is_bad_usage_and_a_source_that_fails_is_exit_1(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert ganport(["train", "--out", str(tmp_path / "run")]) == 2
    assert "--data is missing" in capfd.readouterr().err
    assert ganport(command(tmp_path / "nowhere", tmp_path / "run")) == 1
    error = capfd.readouterr().err
    assert "there is no such file or folder" in error
    assert len(error.splitlines()) == 1


def test_a_run_goes_on_with_its_own_settings(
    image_archive: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert ganport(command(image_archive, run, "--steps", "2", "--penalty", "3")) == 0
    assert ganport(["train", "--out", str(run), "--resume", "--steps", "4"]) == 0
    assert json.loads((run / "config.json").read_text())["penalty"] == 3
    assert [folder.name for folder in whole(run)] == ["step-000002", "step-000004"]
    capfd.readouterr()
    assert ganport(["train", "--out", str(run), "--resume"]) == 0
    assert "Nothing to do" in capfd.readouterr().err
    assert ganport(["train", "--out", str(run), "--resume", "--steps", "9", "--penalty", "4"]) == 2
    assert "--penalty 3.0 to 4.0" in capfd.readouterr().err
    assert ganport(command(image_archive, run, "--steps", "2")) == 1
    assert "holds a run already" in capfd.readouterr().err
    assert ganport(["train", "--out", str(tmp_path / "other"), "--resume"]) == 1
    assert "holds no run" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_says_how_to_go_on(
    image_archive: Path, tmp_path: Path, number: signal.Signals, exit_code: int
) -> None:
    run = tmp_path / "a run"
    words = [sys.executable, "-m", "ganport_cli", *command(image_archive, run, "--steps", "1000000")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        metrics, deadline = run / "metrics.jsonl", time.monotonic() + 60
        while not metrics.exists() or metrics.stat().st_size == 0:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    assert process.returncode == exit_code
    reached = int((run / "last").readlink().name[5:])
    assert f"Stopped and saved at step {reached}. Go on with: ganport train --out '{run}' --resume" in error
    assert ganport(["train", "--out", str(run), "--resume", "--steps", str(reached + 1)]) == 0
