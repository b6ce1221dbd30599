"""Exact numbers, from lives that took and held known amounts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ganport_bench.errors import BenchError
from ganport_bench.start.findings import findings
from ganport_bench.start.fresh import Step
from ganport_bench.start.lives import live_in_turns
from ganport_bench.start.quantity import Quantity
from ganport_bench.start.way import Way
from ganport_runtime.buckets import BUCKETS

OPEN_SECONDS = {"generator": 0.030, "onnxruntime": 0.025}
PROBE_SECONDS = 0.020
PEER = "bare ONNX Runtime"


class World:
    """Stands for processes: knows what has passed the probe in which cache folder."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def live(self, *words: str, environment: Mapping[str, str], gpus: object) -> list[Step]:
        task, batches, *_ = words
        self.calls.append(words)
        if task == "openvino":
            raise BenchError("openvino fails")
        opening = OPEN_SECONDS[task] + (0 if self._has_passed(environment) else PROBE_SECONDS)
        taken = {"interpreter": 0.010, "import": 0.050, "engine import": 0.020, "open": opening, "first image": 0.005}
        steps = [
            Step(name, seconds, None, resident=100 * index, peak=200, gpu=1000 * index)
            for index, (name, seconds) in enumerate(taken.items())
        ]
        return steps + [
            Step(f"batch {size}", 0.001 * size, 0.0005 * size, resident=700, peak=800, gpu=9000)
            for size in map(int, batches.split(","))
        ]

    def _has_passed(self, environment: Mapping[str, str]) -> bool:
        if not environment:
            return True
        passed = Path(environment["GANPORT_CACHE"]) / "probes" / "some"
        if passed.exists():
            return True
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()
        return False


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr("ganport_bench.start.lives.live", world.live)
    return world


def ways(folder: Path) -> list[Way]:
    return [
        Way("ganport", "ganport", ("a plan",), "generator", ("b.ganport",), folder / "cache", peer=PEER),
        Way(PEER, "bare", ("a session",), "onnxruntime", ("g.onnx",)),
        Way("bare OpenVINO", "bare", ("a model",), "openvino", ("g.onnx",)),
    ]


def found(folder: Path, missing: dict[str, str]) -> dict[tuple[Any, ...], Quantity]:
    lived = live_in_turns(ways(folder), 3, 4, None, missing.__setitem__)
    return {(one.part, one.system, one.what, one.batch): one for one in findings(lived)}


def test_every_step_and_their_sum_are_in_milliseconds(world: World, tmp_path: Path) -> None:
    numbers = found(tmp_path, {})

    def value(what: str, system: str = "ganport") -> float:
        return numbers["start", system, what, None].estimate.value

    assert value("import") == pytest.approx(50)
    assert value("open") == pytest.approx(30)
    assert value("start of the process to the first image") == pytest.approx(10 + 50 + 20 + 30 + 5)
    assert value("start of the process to the first image", PEER) == pytest.approx(110)
    assert numbers["start", "ganport", "open", None].unit == "ms"
    assert {one.repetitions for one in numbers.values()} == {3}


def test_the_probe_is_what_first_openings_take_longer(world: World, tmp_path: Path) -> None:
    numbers = found(tmp_path, {})
    first = numbers["start", "ganport", "open, the first time on this machine", None]
    assert first.estimate.value == pytest.approx(50)
    assert numbers["start", "ganport", "probe: the first opening over later ones", None].estimate.value == (
        pytest.approx(20)
    )
    assert not [key for key in numbers if key[1] == PEER and "first time" in key[2]]


def test_a_way_is_compared_with_the_bare_session_on_its_file(world: World, tmp_path: Path) -> None:
    numbers = found(tmp_path, {})
    times = numbers["start", "ganport", f"open, over {PEER}", None]
    assert times.unit == "x"
    assert times.estimate.value == pytest.approx(30 / 25)
    whole = numbers["start", "ganport", f"start of the process to the first image, over {PEER}", None]
    assert whole.estimate.value == pytest.approx(115 / 110)


def test_warm_up_is_the_first_call_beside_later_ones_at_every_batch_size(world: World, tmp_path: Path) -> None:
    numbers = found(tmp_path, {})
    for bucket in BUCKETS:
        assert numbers["warm-up", "ganport", "first call", bucket].estimate.value == pytest.approx(bucket)
        assert numbers["warm-up", "ganport", "later calls", bucket].estimate.value == pytest.approx(bucket / 2)
    assert world.calls[0][1:3] == ("1,2,4,8,16,32,64", "4")


def test_memory_is_in_bytes_after_each_step_and_at_most(world: World, tmp_path: Path) -> None:
    held = {key[2]: one.estimate.value for key, one in found(tmp_path, {}).items() if key[:2] == ("memory", "ganport")}
    assert held == {
        "resident after import": 100,
        "resident after engine import": 200,
        "resident after open": 300,
        "resident after first image": 400,
        "resident after top bucket": 700,
        "peak resident": 800,
        "GPU memory after import": 1000,
        "GPU memory after engine import": 2000,
        "GPU memory after open": 3000,
        "GPU memory after first image": 4000,
        "GPU memory after top bucket": 9000,
    }


def test_a_way_that_fails_is_named_and_the_others_go_on(world: World, tmp_path: Path) -> None:
    missing: dict[str, str] = {}
    numbers = found(tmp_path, missing)
    assert missing == {"bare OpenVINO": "openvino fails"}
    assert {key[1] for key in numbers} == {"ganport", PEER}


def test_a_quantity_says_all_of_it() -> None:
    quantity = Quantity.of_bytes("memory", "ganport", "peak resident", 3, 1, 2)
    document = quantity.to_json()
    assert (document.pop("low"), document.pop("high")) == (1, 3)
    assert document == {
        "part": "memory",
        "system": "ganport",
        "what": "peak resident",
        "unit": "bytes",
        "value": 2,
        "repetitions": 3,
        "batch": None,
        "note": "",
    }
