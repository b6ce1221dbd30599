"""Runs one test of MLCommons LoadGen around a system and reads the logs that it wrote."""

import json
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ganport_bench.errors import BenchError
from ganport_bench.subject import Pixels

SAMPLES = 1024  # of the library that LoadGen draws from: the seeds 0 to 1,023
NO_AUDIT = "no-audit.config"  # LoadGen would take settings from an audit.config of the working directory
LATE = 1.5  # times the latency bound: how late a failed system answers while LoadGen searches
PREFIX, DETAIL, ACCURACY = ":::MLLOG ", "mlperf_log_detail.txt", "mlperf_log_accuracy.json"
EFFECTIVE = "effective_"
PEAK = re.compile(r"Found peak performance field: ([\d.]+)")
PERCENTILES = {"p50": "50.00", "p90": "90.00", "p95": "95.00", "p97": "97.00", "p99": "99.00", "p99.9": "99.90"}
NANO_TO_MILLI = 1e-6

TestValues = Mapping[str, float]  # fields of LoadGen's TestSettings; the others stay as LoadGen has them
Complete = Callable[[Sequence[int], "Pixels | BaseException"], None]
"""Takes the responses' ids, and an image for each or the error that came instead; further images are ignored."""


class QueryServer(Protocol):
    """A system under LoadGen."""

    def issue(self, ids: Sequence[int], seeds: Sequence[int], complete: Complete) -> None:
        """Take a query of some samples; `complete` may be called in parts, later, and from any thread."""


def require_loadgen() -> Any:
    """LoadGen's module. Raises BenchError: it is not installed."""
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


def run(
    system: QueryServer, scenario: str, values: TestValues, folder: Path, *, is_search: bool = False
) -> "LoadGenLog":
    """One performance run, or LoadGen's search for the highest rate (`FindPeakPerformance`).

    The first Ctrl-C ends a run within LoadGen's minimum duration, a search after its next few runs; the second ends the
    process.

    Raises BenchError: LoadGen is not installed, the system failed, or there is no readable log.
    """
    loadgen, nothing = require_loadgen(), lambda *_: None
    folder.mkdir(parents=True, exist_ok=True)
    late = LATE * values["server_target_latency_ns"] / 1e9 if is_search else 0.0
    callbacks = Callbacks(system, loadgen, late)
    sut = loadgen.ConstructFastSUT(callbacks.issue, nothing)
    samples = loadgen.ConstructQSL(SAMPLES, SAMPLES, nothing, nothing)  # latents are made when asked for
    test, logs = loadgen.TestSettings(), loadgen.LogSettings()
    test.scenario = getattr(loadgen.TestScenario, scenario)
    test.mode = loadgen.TestMode.FindPeakPerformance if is_search else loadgen.TestMode.PerformanceOnly
    for name, value in values.items():
        setattr(test, name, value)
    logs.enable_trace = False
    logs.log_output.outdir = str(folder)
    logs.log_output.copy_summary_to_stdout = False
    try:
        with _interrupts_of(callbacks):
            loadgen.StartTestWithLogSettings(sut, samples, test, logs, str(folder / NO_AUDIT))
    finally:
        loadgen.DestroyQSL(samples)
        loadgen.DestroyFastSUT(sut)
    if (failure := callbacks.failure) is None:
        return LoadGenLog.read(folder)
    if not isinstance(failure, Exception):
        raise failure
    text = str(failure) or type(failure).__name__
    raise BenchError(f"the system failed under LoadGen's {scenario}: {text}") from failure


@contextmanager
def _interrupts_of(callbacks: "Callbacks") -> Iterator[None]:
    """Let Ctrl-C end the system's work, not raise an exception through LoadGen's frames."""
    if threading.current_thread() is not threading.main_thread():  # which alone hears of signals
        yield
        return

    def interrupt(*_: object) -> None:
        if callbacks.failure is None:  # between any two steps of what happens there: the next query ends it
            callbacks.failure = KeyboardInterrupt()
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.SIG_DFL)


class Callbacks:
    """What LoadGen calls. An exception in C++ frames would end the process, a missing answer would hang it.

    After the first failure every open and every further query is answered with nothing, so that the run ends soon; in a
    search late, or LoadGen would take the system for infinitely fast.
    """

    def __init__(self, system: QueryServer, loadgen: Any, late: float = 0.0) -> None:
        self._system, self._loadgen, self._late = system, loadgen, late
        self._open: dict[int, bool] = {}  # ids of queries without an answer; whoever takes one out answers it
        self.failure: BaseException | None = None

    def issue(self, ids: list[int], seeds: list[int]) -> None:
        """A query, from LoadGen's thread."""
        self._open.update(dict.fromkeys(ids, True))
        if self.failure is None:
            try:
                self._system.issue(ids, seeds, self.complete)
            except BaseException as error:
                self.fail(error)
        elif self._late:
            time.sleep(self._late)
        if self.failure is not None:  # or another thread failed after it had looked for what is open
            self._answer((one, 0, 0) for one in list(self._open))

    def complete(self, ids: Sequence[int], outcome: "Pixels | BaseException") -> None:
        """Images for these, or the error that came instead; from any thread."""
        if isinstance(outcome, BaseException):
            self.fail(outcome)
            return
        try:
            pixels = np.ascontiguousarray(outcome)
            first, size = pixels.ctypes.data, pixels.nbytes // len(pixels)
            self._answer((one, first + index * size, size) for index, one in enumerate(ids))
        except BaseException as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Remember the first error and be done; from any thread."""
        if self.failure is None:
            self.failure = error
        self._answer((one, 0, 0) for one in list(self._open))

    def _answer(self, responses: Iterable[tuple[int, int, int]]) -> None:
        """Tell LoadGen the id, the address and the bytes of each that is still open."""
        response = self._loadgen.QuerySampleResponse
        self._loadgen.QuerySamplesComplete([response(*one) for one in responses if self._open.pop(one[0], False)])


@dataclass(frozen=True)
class LoadGenLog:
    """The detailed log of one run."""

    values: Mapping[str, Any]  # by LoadGen's keys, the last of each
    errors: tuple[str, ...]  # that LoadGen logged, such as that it ended early
    warnings: tuple[str, ...]  # that it logged
    responses: tuple[tuple[int, bytes], ...]  # the seed and the bytes of every response that it kept

    @classmethod
    def read(cls, folder: Path) -> "LoadGenLog":
        """Read what LoadGen left in a folder. Raises BenchError: something is missing there or cannot be read."""
        try:
            lines = (folder / DETAIL).read_text("utf-8").splitlines()
            events = [json.loads(line.removeprefix(PREFIX)) for line in lines if line.startswith(PREFIX)]
            responses = json.loads((folder / ACCURACY).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise BenchError(f"{folder} holds no readable log of LoadGen: {error}") from error
        log = cls(
            {event["key"]: event["value"] for event in events},
            tuple(str(event["value"]) for event in events if event["metadata"]["is_error"]),
            tuple(str(event["value"]) for event in events if event["metadata"]["is_warning"]),
            tuple((response["qsl_idx"], bytes.fromhex(response["data"])) for response in responses),
        )
        if "result_validity" not in log.values:
            raise BenchError(f"{folder} holds no result of LoadGen; its errors: {'; '.join(log.errors) or 'none'}")
        return log

    @property
    def word(self) -> str:
        """VALID or INVALID, as LoadGen has it."""
        return str(self.values["result_validity"])

    @property
    def peak(self) -> float | None:
        """Of a search: the highest rate, queries a second; None where not even the first one kept the bound."""
        found = PEAK.search(str(self.values.get("generic_message", "")))
        return float(found[1]) if found else None

    @property
    def keeps_bound(self) -> bool:
        """Whether latencies are what was asked for; by LoadGen's early stopping too, unless no answer was late.

        Early stopping wants 459 queries for the 99th percentile even then, which a short run does not have.
        """
        is_sure = self.values["early_stopping_met"] or self.values.get("result_overlatency_query_count") == 0
        return bool(is_sure and self.values.get("result_perf_constraints_met", True))

    @property
    def samples(self) -> int:
        """Of all queries."""
        return int(self.values["result_query_count"] * self.values["effective_samples_per_query"])

    @property
    def reasons(self) -> list[str]:
        """Which of LoadGen's conditions are not met."""
        values = self.values
        said = " ".join(values["early_stopping_result"].replace("*", " ").split())
        conditions = {
            "result_perf_constraints_met": "performance constraints: the latency bound is not kept",
            "result_min_duration_met": f"min duration: shorter than {values['effective_min_duration_ms'] / 1e3:g} s",
            "result_min_queries_met": f"min queries: fewer than {values['effective_min_query_count']:,}",
            "early_stopping_met": f"early stopping: {said}",
        }
        return [reason for key, reason in conditions.items() if not values.get(key, True)]

    @property
    def settings(self) -> dict[str, Any]:
        """What was in effect, by LoadGen's names."""
        return {key.removeprefix(EFFECTIVE): value for key, value in self.values.items() if key.startswith(EFFECTIVE)}

    def latency_ms(self, per_query: str) -> dict[str, float]:
        """Mean, extremes and percentiles; `per_query` as in `scenarios.Scenario`."""
        query = "query_" if per_query else ""
        keys = {name: f"{number}_percentile_{per_query}latency_ns" for name, number in PERCENTILES.items()}
        keys |= {name: f"{name}_{query}latency_ns" for name in ("min", "mean", "max")}
        return {name: self.values[f"result_{key}"] * NANO_TO_MILLI for name, key in keys.items()}
