"""`ganport export` as people type it: exit codes, one line for every mistake, one JSON document."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from ganport_cli.app import run as ganport
from ganport_runtime import Bundle, Generator

from tests.export.conftest import save_weights
from tests.export.user_networks import LATENT_DIM, SIZE

# A user's own file, found from the current directory.
NETWORK = """
from tests.export.user_networks import Talkative

print("imported")


def make():
    return Talkative()
"""
FP32 = ["--forms", "deconv", "--precisions", "fp32"]
SIZES = ["--latent-dim", str(LATENT_DIM), "--image-size", str(SIZE)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with a user's network and its weights."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_network.py").write_text(NETWORK)
    save_weights("Talkative", tmp_path / "w.safetensors")
    return tmp_path


@pytest.mark.slow
def test_a_run_becomes_a_bundle_that_people_read_about_on_stderr(
    run: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(run), "--out", "tiny.ganport", "--checkpoint", "step-2", "--raw-weights", *FP32]
    assert ganport(command) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    for said in ("From step 2 of", "live weights", "discriminator-conv-fp32", "55 dB", "Wrote tiny.ganport"):
        assert said in printed.err
    assert "generator-deconv-fp32 │ the reference" in " ".join(printed.err.split())
    assert "Warning" not in printed.err
    with Generator.open("tiny.ganport") as generator:
        assert generator.sample(3, seed=1).shape == (3, 16, 16, 3)


@pytest.mark.slow
def test_json_is_one_document_and_nothing_else_on_stdout(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Although the user's network prints, and so does its file when it is imported."""
    command = ["export", "my_network:make", "--weights", "w.safetensors", *SIZES, "--out", "b.ganport", "--json"]
    assert ganport([*command, *FP32, "--name", "my faces"]) == 0
    printed = capsys.readouterr()
    document: dict[str, Any] = json.loads(printed.out)
    assert "a word from the network" in printed.err
    assert (document["bundle"], document["name"], document["discriminator"]) == ("b.ganport", "my faces", None)
    assert document["notes"] == []
    (variant,) = document["variants"]
    assert variant["id"] == "generator-deconv-fp32"
    assert variant["parity"]["largest_difference"] <= 1
    assert variant["sha256"] == Bundle.open("b.ganport").manifest.variants[0].sha256


MODULE = ["export", "my_network:make", "--weights", "w.safetensors", *SIZES]
MISTAKES: dict[str, tuple[list[str], int, str]] = {
    "no --out": (["export", "nothing"], 2, "--out"),
    "no such run": (["export", "nothing", "--out", "b"], 1, "nothing: no such directory; give a training run's"),
    "a form that is not made": (["export", "x", "--out", "b", "--forms", "deconv,ring"], 2, "form 'ring' cannot be"),
    "sizes for a run": (["export", "x", "--out", "b", "--latent-dim", "3"], 2, "--latent-dim belongs to package.mod"),
    "a checkpoint of a module": ([*MODULE, "--out", "b", "--checkpoint", "last"], 2, "--checkpoint belongs to a run"),
    "raw weights of a module": ([*MODULE, "--out", "b", "--raw-weights"], 2, "--raw-weights belongs to a run"),
    "a module without sizes": (["export", "a:b", "--out", "b"], 2, "needs --weights, --latent-dim, --image-size"),
    "no such module": (["export", "absent:b", "--weights", "w", *SIZES, "--out", "b"], 1, "No module named 'absent'"),
    "no size at all": (["export", "a:b", "--latent-dim", "0", "--out", "b"], 2, "--latent-dim"),
    "something is there": ([*MODULE, "--out", "."], 1, "--overwrite"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_gets_one_line_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], mistake: str
) -> None:
    command, exit_code, said = MISTAKES[mistake]
    before = sorted(folder.iterdir())
    assert ganport(command) == exit_code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("ganport export: ")
    assert printed.err.count("\n") == 1
    assert said in printed.err
    assert sorted(path for path in folder.iterdir() if path.name != "__pycache__") == before


def test_a_damaged_checkpoint_gets_one_line(run: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(run, folder / "run", symlinks=True)
    (folder / "run" / "best" / "ema.safetensors").write_bytes(b"\x00" * 100)
    assert ganport(["export", "run", "--out", "b"]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("ganport export: run")
    assert printed.err.count("\n") == 1
    assert "ema.safetensors" in printed.err
    assert not Path("b").exists()
