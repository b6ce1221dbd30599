"""The real machine, and NVML in place of a driver: what is recorded before a measurement and after it."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from ganport_bench.machine import Watch, facts
from ganport_runtime import __version__

SECOND_NS = 10**9


class NvmlError(Exception):
    """NVML's own, of any kind."""


class LibraryNotFoundError(NvmlError):
    """There is no driver."""


class Nvml:
    """The module `pynvml` on a machine with one GPU that gets hot under load and counts no board limit."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    NVMLError, NVMLError_LibraryNotFound = NvmlError, LibraryNotFoundError

    def __init__(self) -> None:
        self.is_hot, self.is_open, self.failing = False, False, ""

    def nvmlInit(self) -> None:  # noqa: N802
        if self.failing:
            raise NvmlError(self.failing)
        self.is_open = True

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.is_open = False

    def __getattr__(self, function: str) -> Any:
        def called(*arguments: Any) -> Any:
            assert self.is_open
            try:
                answer = self._answers()[(function, *arguments)]
            except KeyError:
                raise NvmlError("Not Supported") from None
            return answer

        return called

    def _answers(self) -> dict[tuple[Any, ...], Any]:
        hot = self.is_hot
        return {
            ("nvmlDeviceGetCount",): 1,
            ("nvmlDeviceGetHandleByIndex", 0): "one",
            ("nvmlSystemGetDriverVersion",): "580.65",
            ("nvmlSystemGetCudaDriverVersion",): 13000,
            ("nvmlDeviceGetName", "one"): "NVIDIA L4",
            ("nvmlDeviceGetCudaComputeCapability", "one"): (8, 9),
            ("nvmlDeviceGetMemoryInfo", "one"): SimpleNamespace(total=24 * 2**30, used=(3 if hot else 1) * 2**30),
            ("nvmlDeviceGetMaxClockInfo", "one", 1): 2040,
            ("nvmlDeviceGetMaxClockInfo", "one", 2): 6251,
            ("nvmlDeviceGetEnforcedPowerLimit", "one"): 72_000,
            ("nvmlDeviceGetClockInfo", "one", 1): 1200 if hot else 2040,
            ("nvmlDeviceGetClockInfo", "one", 2): 6251,
            ("nvmlDeviceGetPowerUsage", "one"): 71_500 if hot else 16_000,
            ("nvmlDeviceGetTemperature", "one", 0): 85 if hot else 40,
            ("nvmlDeviceGetCurrentClocksThrottleReasons", "one"): 0x4 | 0x20 if hot else 0x1,
            ("nvmlDeviceGetUtilizationRates", "one"): SimpleNamespace(gpu=99 if hot else 0),
            ("nvmlDeviceGetViolationStatus", "one", 0): SimpleNamespace(violationTime=(7 if hot else 5) * SECOND_NS),
            ("nvmlDeviceGetViolationStatus", "one", 1): SimpleNamespace(violationTime=SECOND_NS // 2 if hot else 0),
        }


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    module = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", module)
    return module


def test_this_machine_is_described_in_values_that_a_document_takes() -> None:
    watch = Watch()
    record = watch.finished()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert {**record, "gpus": None} == {**record, **watch.facts, "gpus": None}
    assert record["cores"] >= 1
    assert record["memory_bytes"] > 2**26
    assert set(record["clock_mhz"]) == {"current", "max"}
    assert set(record["lost"]) == {"stolen_seconds", "halted_seconds", "thermal_events"}
    assert all(value is None or value >= 0 for value in record["lost"].values())
    assert bool(record["gpus"]) or record["gpu_note"]
    age = datetime.now(UTC) - datetime.fromisoformat(record["measured_at"])
    assert timedelta(0) <= age < timedelta(minutes=1)


def test_packages_have_their_versions_or_are_known_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganport_bench.machine.packages.PACKAGES", ("numpy", "no-such-package"))
    packages = facts()["packages"]
    assert packages["ganport"] == __version__
    assert packages["numpy"]
    assert packages["no-such-package"] is None


def test_a_gpu_is_described_by_nvml(nvml: Nvml) -> None:
    known = facts()
    assert known["gpu_note"] == ""
    assert known["gpus"] == [
        {
            "name": "NVIDIA L4",
            "driver": "580.65",
            "cuda": "13.0",
            "memory_bytes": 24 * 2**30,
            "compute_capability": "8.9",
            "max_clock_mhz": {"sm": 2040, "memory": 6251},
            "power_limit_watts": 72.0,
            "before": {
                "clock_mhz": {"sm": 2040, "memory": 6251},
                "power_watts": 16.0,
                "temperature_celsius": 40,
                "throttle_reasons": ["idle"],
                "memory_used_bytes": 2**30,
                "busy_percent": 0,
            },
        }
    ]
    assert not nvml.is_open


def test_throttling_during_the_measurement_shows(nvml: Nvml) -> None:
    watch = Watch()
    nvml.is_hot = True
    (gpu,) = watch.finished()["gpus"]
    assert gpu["before"]["throttle_reasons"] == ["idle"]
    assert gpu["after"]["throttle_reasons"] == ["power cap", "heat, by software"]
    assert gpu["after"]["clock_mhz"]["sm"] == 1200
    counted = {"power": 2.0, "heat": 0.5}
    assert gpu["throttled_seconds"] == {"sync_boost": None, "board_limit": None, "reliability": None, **counted}


def test_a_gpu_that_is_gone_afterwards_is_still_in_the_record(nvml: Nvml) -> None:
    watch = Watch()
    nvml.failing = "GPU is lost"
    record = watch.finished()
    assert record["gpus"][0]["after"] == {}
    assert record["gpus"][0]["throttled_seconds"]["power"] is None
    assert record["gpu_note"] == "NVML failed: GPU is lost"


def test_an_error_of_nvml_is_said(nvml: Nvml) -> None:
    nvml.failing = "Driver/library version mismatch"
    assert facts()["gpu_note"] == "NVML failed: Driver/library version mismatch"


def test_the_package_is_quick_to_import() -> None:
    heavy = {"torch", "onnxruntime", "openvino", "pynvml", "matplotlib", "scipy"}
    program = "import sys, ganport_bench.machine; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not heavy & {*done.stdout.split()}
