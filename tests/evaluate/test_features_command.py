import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ganport_cli.app import run

MakeBundle = Callable[..., Path]


def test_the_command_prints_a_table_and_on_request_the_document(
    bundle: Path, stripes: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["features", str(bundle), "--data", stripes, "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert [entry["name"] for entry in document["representations"]] == [
        "discriminator",
        "random_discriminator",
        "pixels",
        "pixels_pca",
    ]
    assert "90 images to fit on, 30 held out" in err
    assert "random discriminator" in err
    assert "t-SNE takes time, so they are drawn only for --report DIR" in err


@pytest.mark.slow
def test_a_report_is_written_without_pytorch(bundle: Path, stripes: str, tmp_path: Path) -> None:
    code = (
        "import sys; from ganport_cli.app import run; status = run(sys.argv[1:]); "
        "sys.exit('torch was imported' if 'torch' in sys.modules else status)"
    )
    report = tmp_path / "report"
    words = ["features", str(bundle), "--data", stripes, "--report", str(report)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MPLBACKEND": "", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert (report / "tsne.png").exists()
    assert "features.json" in done.stderr


def test_skipped_files_are_counted(
    bundle: Path, tmp_path: Path, striped_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (striped_folder / "along" / "broken.png").write_bytes(b"no picture")
    words = ["features", str(bundle), "--data", str(striped_folder)]
    assert run(words) == 1
    assert "along/broken.png is unreadable" in capsys.readouterr().err
    assert run([*words, "--skip-bad", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["classes"] == {"across": 8, "along": 8, "diagonal": 8}
    assert any("1 unreadable" in note for note in document["notes"])


def test_failures_take_one_line(
    bundle: Path, make_bundle: MakeBundle, stripes: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    few = tmp_path / "few.npz"
    np.savez(few, images=np.zeros((5, 16, 16), np.uint8))
    cases = [
        ([str(tmp_path / "none.ganport"), "--data", stripes], "none.ganport is missing"),
        ([str(make_bundle(discriminator=False)), "--data", stripes], "has no discriminator"),
        ([str(bundle), "--data", str(tmp_path / "nowhere")], "there is no such file or folder"),
        ([str(bundle), "--data", str(few)], "--data holds 5 images, too few"),
        ([str(bundle), "--data", stripes, "--report", str(tmp_path / "file")], "is a file: name a folder"),
    ]
    for words, message in cases:
        assert run(["features", *words]) == 1
        out, err = capsys.readouterr()
        lines = [line for line in err.splitlines() if line.strip()]
        assert len(lines) == 1
        assert lines[0].startswith("ganport features: ")
        assert message in lines[0]
        assert out == ""


@pytest.mark.parametrize(
    "words", [[], ["--data", "digits"], ["b.ganport"], ["b.ganport", "--data", "x", "--seed", "-1"]]
)
def test_wrong_usage_exits_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["features", *words]) == 2
    assert "ganport features: " in capsys.readouterr().err


def test_an_unknown_color_is_wrong_usage(bundle: Path, stripes: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["features", str(bundle), "--data", stripes, "--background", "nope"]) == 2
    assert "nope" in capsys.readouterr().err
