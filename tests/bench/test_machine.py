"""The real machine; NVML in place of a driver; and a folder in place of Linux's files."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ganport_bench.machine import Watch, clock_mhz, governor, lost, since

SECOND_NS = 10**9
CPUS = "sys/devices/system/cpu"


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


def test_a_gpu_is_described_by_nvml(nvml: Nvml) -> None:
    known = Watch().facts
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


def test_the_package_is_quick_to_import() -> None:
    heavy = {"torch", "onnxruntime", "openvino", "pynvml", "matplotlib", "scipy"}
    program = "import sys, ganport_bench.machine; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not heavy & {*done.stdout.split()}


def put(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_clocks_and_governors_of_all_cores(tmp_path: Path) -> None:
    put(
        tmp_path,
        **{
            "proc/cpuinfo": "processor: 0\ncpu MHz\t\t: 2000.0\nprocessor: 1\ncpu MHz\t\t: 3000.5\n",
            f"{CPUS}/cpu0/cpufreq/cpuinfo_max_freq": "3700000\n",
            f"{CPUS}/cpu1/cpufreq/cpuinfo_max_freq": "3500000\n",
            f"{CPUS}/cpu0/cpufreq/scaling_governor": "schedutil\n",
            f"{CPUS}/cpu1/cpufreq/scaling_governor": "performance\n",
        },
    )
    assert clock_mhz(tmp_path) == {"current": 2500.2, "max": 3700.0}
    assert governor(tmp_path) == "performance, schedutil"


def test_what_a_machine_does_not_tell_is_unknown(tmp_path: Path) -> None:
    assert clock_mhz(tmp_path) == {"current": None, "max": None}
    assert governor(tmp_path) is None
    assert lost(tmp_path) == dict.fromkeys(("stolen_seconds", "halted_seconds", "thermal_events"))
    assert set(since(lost(tmp_path), lost(tmp_path)).values()) == {None}


@pytest.mark.parametrize(
    ("file", "line"),
    [("sys/fs/cgroup/cpu.stat", "throttled_usec {}000"), ("sys/fs/cgroup/cpu/cpu.stat", "throttled_time {}000000")],
)
def test_what_was_taken_from_the_processor_in_between(tmp_path: Path, file: str, line: str) -> None:
    def look(ticks: int, milliseconds: int, events: int) -> dict[str, float | None]:
        put(
            tmp_path,
            **{
                "proc/stat": f"cpu  9 9 9 9 9 9 9 {ticks} 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n",
                file: f"nr_periods 5\n{line.format(milliseconds)}\n",
                f"{CPUS}/cpu0/thermal_throttle/core_throttle_count": f"{events}\n",
            },
        )
        return dict(lost(tmp_path))

    topology = f"{CPUS}/cpu{{}}/topology/core_cpus_list"
    put(tmp_path, **{topology.format(0): "0-1\n", topology.format(1): "0-1\n", topology.format(2): "2\n"})
    put(tmp_path, **{f"{CPUS}/cpu1/thermal_throttle/core_throttle_count": "3\n"})  # the same core's other thread
    put(tmp_path, **{f"{CPUS}/cpu2/thermal_throttle/core_throttle_count": "1\n"})
    put(tmp_path, **{f"{CPUS}/cpu2/thermal_throttle/package_throttle_count": "900\n"})
    before, after = look(100, 250, 3), look(100 + os.sysconf("SC_CLK_TCK"), 1750, 5)
    assert since(before, after) == {"stolen_seconds": 1.0, "halted_seconds": 1.5, "thermal_events": 2}
