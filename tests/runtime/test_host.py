"""What is found out about the machine."""

import os
from pathlib import Path

import pytest
from ganport_runtime.machine import NvidiaGpu, cpu_model, parse_gpus, this_host


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
