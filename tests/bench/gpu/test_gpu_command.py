"""The command where there is no GPU, and what it asks the driver."""

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ganport_bench.gpu import driver
from ganport_bench.gpu.__main__ import PAGE, ROOT, main
from ganport_bench.gpu.benchmark import BUNDLE
from ganport_bench.gpu.driver import missing_gpu
from ganport_bench.gpu.outcome import Outcome
from ganport_bench.gpu.page import SECTIONS

from tests.bench.gpu.documents import DOCUMENT


class Driver:
    """`libcuda` with so many GPUs, or with an error."""

    def __init__(self, gpus: int, status: int = 0) -> None:
        self._gpus, self._status = gpus, status

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._status

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._gpus
        return 0


def no_driver(library: str) -> Driver:
    raise OSError(library)


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        (no_driver, "no NVIDIA driver (libcuda.so.1 cannot be loaded)"),
        (lambda _name: Driver(0, status=100), "the NVIDIA driver finds no GPU that it can use (CUDA error 100)"),
        (lambda _name: Driver(0), "the NVIDIA driver is there without a GPU"),
        (lambda _name: Driver(2), None),
    ],
)
def test_the_driver_is_asked_for_gpus(
    library: Callable[[str], Driver], reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "sys", SimpleNamespace(platform="linux"))
    monkeypatch.setattr(ctypes, "CDLL", library)
    assert missing_gpu() == reason


def test_one_line_where_there_is_no_gpu_and_nothing_is_made(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ganport_bench.gpu.__main__.missing_gpu", lambda: "no NVIDIA driver")
    before = sorted(root.rglob("*"))
    for arguments in (["--wheels", "no-such-folder"], []):
        assert main(arguments, root) == 0
        assert capsys.readouterr() == ("make gpu: no NVIDIA driver; there is nothing to test and to measure\n", "")
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("text", [None, "# Someone else's page\n"])
def test_a_page_that_cannot_be_filled_is_told_before_anything_is_measured(
    root: Path, text: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ganport_bench.gpu.__main__.missing_gpu", lambda: None)
    monkeypatch.setattr("ganport_bench.gpu.__main__._environment", lambda *_: Path(sys.executable))
    if text is not None:
        (root / "docs").mkdir()
        (root / "docs" / PAGE).write_text(text)
    assert main([], root) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert PAGE in line
    assert not (root / "gpu-results").exists()


def test_the_page_is_filled_and_its_words_stay(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = "".join(f"<!-- bench: {name} -->\n<!-- /bench -->\n" for name in SECTIONS)
    (root / "docs").mkdir()
    (root / "docs" / PAGE).write_text(f"## Without an index\n{places}")

    def measured(python: Path, root: Path, results: Path, **_: object) -> Path:
        (results / BUNDLE).mkdir()
        (results / BUNDLE / "manifest.json").write_text(json.dumps({"training": {"steps": 7}}))
        (results / "bench.json").write_text(json.dumps(DOCUMENT))
        return results / "bench.json"

    for name, stand_in in (
        ("missing_gpu", lambda: None),
        ("_environment", lambda *_: Path(sys.executable)),
        ("run_tests", lambda *_: Outcome(1, 0, {})),
        ("run_benchmark", measured),
    ):
        monkeypatch.setattr(f"ganport_bench.gpu.__main__.{name}", stand_in)
    assert main([], root) == 0
    text = (root / "docs" / PAGE).read_text()
    assert text.startswith("## Without an index\n")
    assert "a run of 7 steps" in text
    (copy,) = (root / "gpu-results").glob(f"*/{PAGE}")
    assert copy.read_text() == text


def test_it_needs_nothing_but_pythons_own_library() -> None:
    """As on a bare machine: isolated from the environment's packages."""
    program = f"import sys; sys.path.insert(0, {str(ROOT / 'bench')!r}); import ganport_bench.gpu.__main__"
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)
