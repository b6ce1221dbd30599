import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_bench.ceilings import Bandwidth, Stream, faster, measure_bandwidth
from ganport_bench.ceilings import bandwidth as module
from ganport_bench.ceilings.caches import last_cache_bytes
from ganport_bench.timing import Estimate


def stream(value: float) -> Stream:
    return Stream(Estimate(value, value, value), "somehow", {})


def test_what_the_last_cache_holds_moves_at_its_speed_and_the_rest_at_the_memorys() -> None:
    found = Bandwidth(stream(10.0), stream(50.0), cache_bytes=100)
    assert found.seconds(100) == pytest.approx(2)
    assert found.seconds(150) == pytest.approx(2 + 5)
    assert Bandwidth(stream(10.0)).seconds(150) == pytest.approx(15)


def test_a_cache_that_was_measured_slower_than_memory_makes_no_floor_higher() -> None:
    assert Bandwidth(stream(10.0), stream(5.0), cache_bytes=100).seconds(100) == pytest.approx(10)


def test_of_two_measurements_the_higher_one_counts() -> None:
    found = faster(Bandwidth(stream(10.0), stream(50.0), 100), Bandwidth(stream(8.0), stream(60.0), 100))
    assert found == Bandwidth(stream(10.0), stream(60.0), 100)
    assert faster(Bandwidth(stream(8.0)), Bandwidth(stream(9.0))) == Bandwidth(stream(9.0))


def asleep(seconds: float) -> Callable[[Any], object]:
    return lambda _arrays: time.sleep(seconds)


def test_the_fastest_stream_counts_and_its_bytes_are_those_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = {"one": (1, asleep(0.004)), "three": (3, asleep(0.006))}  # three times the bytes in half as long again
    monkeypatch.setattr(module, "KERNELS", kernels)
    monkeypatch.setattr(module, "CALL_BYTES", 1)
    monkeypatch.setattr(module, "BEYOND", 1)
    monkeypatch.setattr(module, "thread_choices", lambda: (2, 1))
    size = 2 * 1024 * 8  # two threads' parts
    found = measure_bandwidth(rounds=2, turn_seconds=0.01, cache_bytes=size)
    assert found.memory.how == "three, 2 threads, arrays of 0.0156 MiB"
    assert list(found.memory.others) == ["one, 2 threads, arrays of 0.0156 MiB"]
    exact = 3 * size / 0.006
    assert exact / 3 < found.memory.bytes_per_second.value <= exact, "sleeping takes longer, never less"
    assert (found.cache_bytes, found.cache is not None) == (size, True)


def test_streams_do_what_they_are_called() -> None:
    for name, (count, kernel) in module.KERNELS.items():
        arrays = [np.full(4, value) for value in (0.0, 2.0, 3.0)]
        kernel(arrays)
        wanted = {"NumPy's maximum": 0.0, "NumPy's copyto": 2.0, "NumPy's add": 5.0}[name]
        assert arrays[0].tolist() == [wanted] * 4
        assert count == list(module.KERNELS).index(name) + 1


def test_real_streams_through_small_arrays_are_all_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALL_BYTES", 2**20)
    found = measure_bandwidth(rounds=2, turn_seconds=0.005, cache_bytes=2**20)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(document) == {"bytes_per_second", "how", "others", "cache"}
    assert set(document["cache"]) == {"bytes", "bytes_per_second", "how", "others"}
    assert len(document["others"]) == 2
    assert document["bytes_per_second"]["low"] > 1e6


def test_arrays_are_beyond_the_cache_and_no_more_than_the_computer_can_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "memory_bytes", lambda: 12 * 2**30)
    assert module._beyond(32 * 2**20) == 128 * 2**20
    assert module._beyond(None) == 256 * 2**20
    assert module._beyond(2**30) == 512 * 2**20, "three arrays in an eighth of 12 GiB"


@pytest.fixture
def linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four cores in two pairs, of which this process may use three; each pair shares a last cache of 8 MiB."""
    for core in range(4):
        pair = core // 2 * 2
        caches = {
            "index0": {"level": "1", "type": "Instruction", "size": "64K", "shared_cpu_list": f"{core}"},
            "index1": {"level": "2", "type": "Unified", "size": "512K", "shared_cpu_list": f"{core}"},
            "index2": {"level": "3", "type": "Unified", "size": "8192K", "shared_cpu_list": f"{pair}-{pair + 1}"},
        }
        for index, facts in caches.items():
            folder = tmp_path / f"sys/devices/system/cpu/cpu{core}/cache/{index}"
            folder.mkdir(parents=True)
            for name, text in facts.items():
                (folder / name).write_text(f"{text}\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2}, raising=False)
    return tmp_path


def test_a_cache_that_cores_share_is_counted_once(linux: Path) -> None:
    assert last_cache_bytes(linux) == 2 * 8 * 2**20


def test_a_machine_that_does_not_tell_of_its_caches_has_none_known(tmp_path: Path) -> None:
    assert last_cache_bytes(tmp_path) is None
