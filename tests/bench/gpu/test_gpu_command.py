"""The command where there is no GPU, and what it asks the driver."""

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ganport_bench.gpu import driver
from ganport_bench.gpu.__main__ import ROOT, main
from ganport_bench.gpu.driver import missing_gpu


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
    assert main(["--wheels", "no-such-folder"], root) == 0
    assert capsys.readouterr() == ("make gpu: no NVIDIA driver; there is nothing to test and to measure\n", "")
    assert sorted(root.rglob("*")) == before


def test_it_needs_nothing_but_pythons_own_library() -> None:
    """As on a bare machine: isolated from the environment's packages."""
    program = f"import sys; sys.path.insert(0, {str(ROOT / 'bench')!r}); import ganport_bench.gpu.__main__"
    subprocess.run([sys.executable, "-I", "-S", "-c", program], check=True)
