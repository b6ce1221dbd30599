"""Runs one test of MLCommons LoadGen and reads the logs that it wrote."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from ganport_bench.errors import BenchError
from ganport_bench.scenarios.callbacks import Callbacks
from ganport_bench.scenarios.log import Log
from ganport_bench.scenarios.systems import System

__all__ = ["SAMPLES", "minimum_seconds", "require_loadgen", "run"]

SAMPLES = 1024  # of the library that LoadGen draws from: the seeds 0 to 1,023
NO_AUDIT = "no-audit.config"  # LoadGen would take settings from an audit.config of the working directory

Settings = Mapping[str, float]  # fields of LoadGen's TestSettings; the others stay as LoadGen has them


def require_loadgen() -> Any:
    """LoadGen's module.

    Raises:
        BenchError: it is not installed.
    """
    try:
        return import_module("mlperf_loadgen")
    except ModuleNotFoundError:
        raise BenchError(
            "scenarios need mlperf_loadgen, which is not installed here: pip install 'ganport[bench]' "
            "(mlcommons-loadgen has wheels for Linux on x86-64, macOS and Windows)"
        ) from None


def minimum_seconds() -> float:
    """The shortest run that LoadGen calls VALID unless it is told otherwise, which it is not."""
    return float(require_loadgen().TestSettings().min_duration_ms) / 1e3


def run(system: System, scenario: str, settings: Settings, folder: Path) -> Log:
    """One performance run; Ctrl-C ends it within LoadGen's minimum duration at most.

    Args:
        system: what is measured.
        scenario: LoadGen's name of it.
        settings: of the run.
        folder: for the logs; made where it is not there.

    Raises:
        BenchError: LoadGen is not installed, the system failed, or there is no readable log.
    """
    loadgen = require_loadgen()
    folder.mkdir(parents=True, exist_ok=True)
    callbacks = Callbacks(system, loadgen)
    sut = loadgen.ConstructFastSUT(callbacks.issue, _do_nothing)
    samples = loadgen.ConstructQSL(SAMPLES, SAMPLES, _do_nothing, _do_nothing)  # latents are made when asked for
    test, logs = _test_settings(loadgen, scenario, settings), _log_settings(loadgen, folder)
    try:
        with _interrupts_of(callbacks):
            loadgen.StartTestWithLogSettings(sut, samples, test, logs, str(folder / NO_AUDIT))
    finally:
        loadgen.DestroyQSL(samples)
        loadgen.DestroyFastSUT(sut)
    _raise(callbacks.failure, scenario)
    return Log.read(folder)


def _do_nothing(*_: object) -> None:
    pass


def _test_settings(loadgen: Any, scenario: str, settings: Settings) -> Any:
    test = loadgen.TestSettings()
    test.scenario = getattr(loadgen.TestScenario, scenario)
    test.mode = loadgen.TestMode.PerformanceOnly
    for name, value in settings.items():
        setattr(test, name, value)
    return test


def _log_settings(loadgen: Any, folder: Path) -> Any:
    logs = loadgen.LogSettings()
    logs.enable_trace = False
    logs.log_output.outdir = str(folder)
    logs.log_output.copy_summary_to_stdout = False
    return logs


@contextmanager
def _interrupts_of(callbacks: Callbacks) -> Iterator[None]:
    """Let Ctrl-C end the system's work, not raise an exception through LoadGen's frames."""
    if threading.current_thread() is not threading.main_thread():  # which alone hears of signals
        yield
        return
    before = signal.signal(signal.SIGINT, lambda *_: callbacks.interrupt())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


def _raise(failure: BaseException | None, scenario: str) -> None:
    if failure is None:
        return
    if not isinstance(failure, Exception):
        raise failure
    raise BenchError(
        f"the system failed under LoadGen's {scenario}: {str(failure) or type(failure).__name__}"
    ) from failure
