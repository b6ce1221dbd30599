"""What is read of the files in which Linux tells of its processor."""

import os
from pathlib import Path

import pytest
from ganport_bench.machine.processor import clock_mhz, governor, lost, since

CPUS = "sys/devices/system/cpu"


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
