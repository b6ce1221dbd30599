"""Processes and threads of a server may end at any moment while it is measured."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil  # type: ignore[import-untyped]
import pytest
from ganport_bench.client.processes import renice
from ganport_bench.errors import BenchError
from server_setup import cpu_seconds, resident_bytes, resume, suspend


@pytest.fixture
def living() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def ended() -> psutil.Process:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        return psutil.Process(process.pid)


def test_a_child_that_ends_just_now_is_passed_over(
    living: int, ended: psutil.Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil.Process, "children", lambda _process, **_options: [ended])
    suspend(living)
    resume(living)
    renice(living)
    assert cpu_seconds(living) >= 0
    assert resident_bytes(living) > 0


def test_a_thread_that_ends_just_now_is_passed_over(living: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_which: int, _who: int, _priority: int) -> None:
        raise ProcessLookupError

    monkeypatch.setattr(os, "setpriority", gone)
    renice(living)


def test_of_a_server_that_has_ended_nothing_is_measured(ended: psutil.Process) -> None:
    for passes in (suspend, resume, renice):
        passes(ended.pid)
    for measures in (cpu_seconds, resident_bytes):
        with pytest.raises(BenchError, match=f"the process {ended.pid} that was measured has ended"):
            measures(ended.pid)
