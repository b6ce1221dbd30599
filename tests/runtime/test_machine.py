"""What is found out about the machine: without waking anything up, compared fact by fact."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from ganport_runtime import machine
from ganport_runtime.backends import engine_versions
from ganport_runtime.machine import NvidiaGpu, cache_folder, cpu_model, parse_gpus, this_host


def test_this_machine_is_described() -> None:
    host = this_host()
    assert host.cpu
    assert host.system
    assert 1 <= host.cores <= (os.cpu_count() or 1)
    assert host.memory_bytes is None or host.memory_bytes > 2**26
    assert bool(host.gpus) != bool(host.gpu_note)


def test_gpus_are_read_from_the_drivers_own_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 570.86.15, 81559, 9.0'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert this_host().gpus == (NvidiaGpu("NVIDIA H100 80GB HBM3", "570.86.15", 81559, "9.0"),)
    tool.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    assert this_host().gpus == ()
    assert "nvidia-smi failed" in this_host().gpu_note


def test_memory_that_the_driver_does_not_tell_is_unknown() -> None:
    assert parse_gpus(["Orin, 540.3.0, [N/A], 8.7", ""]) == (NvidiaGpu("Orin", "540.3.0", None, "8.7"),)


def test_the_processor_is_named_as_the_system_names_it(tmp_path: Path) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Example 9000 : special\nflags\t: fpu\n")
    assert cpu_model(file) == "Example 9000 : special"
    assert cpu_model(tmp_path / "absent")


@pytest.fixture(autouse=True)
def _forget_gpus() -> None:
    machine.gpus.cache_clear()


def test_this_machine_is_told_in_plain_values() -> None:
    here = machine.facts()
    assert here["cpu"]
    assert here["cores"] >= 1
    assert isinstance(here["gpus"], list)
    assert machine.changes(here, machine.facts()) == ()


def test_gpus_are_those_that_the_kernel_module_tells_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15\nGCC version: 12\n")
    for number in (1, 0):
        card = tmp_path / "gpus" / f"0000:0{number}:00.0"
        card.mkdir(parents=True)
        (card / "information").write_text(f"Model: \t\t NVIDIA H{number}00\nIRQ:   \t\t 16\n")
    monkeypatch.setattr(machine, "NVIDIA", tmp_path)
    assert machine.gpus() == (
        "NVIDIA H000", "NVIDIA H100", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15",
    )  # fmt: skip
    machine.gpus.cache_clear()


def test_engine_versions_are_read_without_importing_an_engine() -> None:
    assert engine_versions()["onnxruntime"] == version("onnxruntime")
    code = (
        "import sys; from ganport_runtime.backends import engine_versions; engine_versions()\n"
        "print([name for name in ('onnxruntime', 'openvino', 'tensorrt_rtx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_changes_name_what_is_there_now_and_what_was() -> None:
    before = {"cpu": "A", "cores": 4, "gpus": ["x", "y"], "onnxruntime": "1.1"}
    now = {"cpu": "A", "cores": 2, "gpus": [], "openvino": "2026.4"}
    assert machine.changes(before, now) == (
        "cores is 2, it was 4",
        "gpus is none, it was x, y",
        "onnxruntime is not there, it was 1.1",
        "openvino is 2026.4, it was not there",
    )


def test_the_cache_folder_is_where_it_is_said_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GANPORT_CACHE", "/somewhere/else")
    assert cache_folder() == Path("/somewhere/else")
    monkeypatch.delenv("GANPORT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/common")
    assert cache_folder() == Path("/common/ganport")
    monkeypatch.setenv("HOME", str(tmp_path))
    for ignored in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder() == tmp_path / ".cache" / "ganport"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / ".cache" / "ganport"
