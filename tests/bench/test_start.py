"""Fresh processes, what they take and hold, the ways to open a bundle, and sizes."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ganport_bench.errors import BenchError
from ganport_bench.fresh import ProcessStep, import_seconds, live, watching_gpus
from ganport_bench.installed import closure, installed_bytes
from ganport_bench.records import own_cache
from ganport_bench.start import (
    Quantity,
    Way,
    bundle_quantities,
    live_in_turns,
    measure,
    measure_imports,
    process_quantities,
    tables,
    ways_of,
)
from ganport_runtime import Bundle
from ganport_runtime.batches import BUCKETS

from tests.support.bundles import add_probe, make_variety, make_weights
from tests.support.records import ONNXRUNTIME, write_record
from tests.support.tiny_run import QUICKEST


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Two forms in fp32, one in int8, and a probe."""
    weights = make_weights()
    return add_probe(make_variety(tmp_path / "some.ganport", weights), weights)


@pytest.fixture
def light_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules that are imported in no time."""
    monkeypatch.setattr("ganport_bench.start.imported_modules", lambda: ("numpy", "json"))
    monkeypatch.setattr("ganport_bench.start.CONTRAST", "json")


MIB = 2**20


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`slow_and_large`: takes 0.2 s, holds 50 MiB, let go of another 50, and prints."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    file = tmp_path / "slow_and_large.py"
    file.write_text("import time\nprint('{}')\ntime.sleep(0.2)\nheld = b'x' * (50 << 20)\nheld + held[:0] + b'x'\n")
    return file


def test_a_step_has_its_own_time_and_the_memory_that_it_leaves(module: Path) -> None:
    interpreter, step = live("import", "slow_and_large")
    assert (interpreter.name, step.name) == ("interpreter", "import")
    assert interpreter.seconds > 0
    assert step.seconds >= 0.2
    assert import_seconds("slow_and_large")() >= 0.2
    assert (step.later, step.gpu) == (None, None)
    if sys.platform == "linux":
        assert interpreter.resident is not None
        assert step.resident is not None
        assert step.peak is not None
        assert step.resident - interpreter.resident == pytest.approx(50 * MIB, rel=0.1)
        assert step.peak - interpreter.resident == pytest.approx(100 * MIB, rel=0.1)


def test_what_a_failing_process_said_last_is_told() -> None:
    with pytest.raises(BenchError, match="import no_such_module fails in a fresh interpreter: ModuleNotFoundError: "):
        import_seconds("no_such_module")()


def test_a_process_that_dies_without_a_word_is_told_of(module: Path) -> None:
    module.write_text("import os\nos._exit(7)\n")
    with pytest.raises(BenchError, match="its status is 7, it said nothing"):
        live("import", "slow_and_large")


def test_imports_are_measured_of_what_is_installed(light_imports: None) -> None:
    missing: dict[str, str] = {}
    numpy, contrast = measure_imports(2, missing.__setitem__)
    assert (numpy.part, numpy.what, numpy.unit, numpy.repetitions) == ("import", "import numpy", "ms", 2)
    assert 0 < numpy.estimate.low <= numpy.estimate.value <= numpy.estimate.high
    assert (contrast.system, contrast.note) == ("json", "for contrast: the runtime does without")
    assert missing == {}


def test_a_module_that_cannot_be_imported_costs_the_others_nothing(
    light_imports: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made_up_broken.py").write_text("raise ImportError('libmadeup.so.1 is not there')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("ganport_bench.start.imported_modules", lambda: ("made_up_broken", "numpy", "json"))
    missing: dict[str, str] = {}
    assert [one.system for one in measure_imports(1, missing.__setitem__)] == ["numpy", "json"]
    assert "libmadeup.so.1 is not there" in missing["import made_up_broken"]


class Nvml:
    """Two GPUs."""

    class NVMLError(Exception):
        pass

    def __init__(self, *, gpus: int = 2, lacks: str = "") -> None:
        self.gpus, self.lacks, self.used = gpus, lacks, [500, 70]
        self.is_open = False

    def nvmlInit(self) -> None:  # noqa: N802  # NVML's own names
        self._need("driver")
        self.is_open = True

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.is_open = False

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self.gpus

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:  # noqa: N802
        self._need("memory")
        return SimpleNamespace(used=self.used[handle])

    def _need(self, what: str) -> None:
        if what == self.lacks:
            raise self.NVMLError(f"no {what}")


def test_a_process_holds_what_all_gpus_hold_more(module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    with watching_gpus() as used:
        assert not isinstance(used, str)
        assert used() == 570
        counts = iter((570, 570, 630))
        interpreter, step = live("import", "slow_and_large", gpus=lambda: next(counts))
    assert not nvml.is_open
    assert (interpreter.gpu, step.gpu) == (0, 60)


@pytest.mark.parametrize(
    ("nvml", "reason"),
    [
        (Nvml(lacks="driver"), "no driver"),
        (Nvml(lacks="memory"), "no memory"),
        (Nvml(gpus=0), "no GPU"),
        (None, "nvidia-ml-py"),
    ],
)
def test_why_gpu_memory_is_not_told_is_said(nvml: Nvml | None, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    with watching_gpus() as said:
        assert reason in str(said)
    assert nvml is None or not nvml.is_open


# ---- exact numbers, from processes that took and held known amounts


OPEN_SECONDS = {"generator": 0.030, "onnxruntime": 0.025}
PROBE_SECONDS = 0.020
PEER = "bare ONNX Runtime"


class World:
    """Stands for processes: knows what has passed the probe in which cache folder."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []

    def live(self, *words: str, environment: Mapping[str, str], gpus: object) -> list[ProcessStep]:
        task, batches, *_ = words
        self.calls.append(words)
        if task == "openvino":
            raise BenchError("openvino fails")
        opening = OPEN_SECONDS[task] + (0 if self._has_passed(environment) else PROBE_SECONDS)
        taken = {"interpreter": 0.010, "import": 0.050, "engine import": 0.020, "open": opening, "first image": 0.005}
        steps = [
            ProcessStep(name, seconds, None, resident=100 * index, peak=200, gpu=1000 * index)
            for index, (name, seconds) in enumerate(taken.items())
        ]
        return steps + [
            ProcessStep(f"batch {size}", 0.001 * size, 0.0005 * size, resident=700, peak=800, gpu=9000)
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
    monkeypatch.setattr("ganport_bench.start.live", world.live)
    return world


def ways(folder: Path) -> list[Way]:
    return [
        Way("ganport", "ganport", ("a plan",), "generator", ("b.ganport",), folder / "cache", peer=PEER),
        Way(PEER, "bare", ("a session",), "onnxruntime", ("g.onnx",)),
        Way("bare OpenVINO", "bare", ("a model",), "openvino", ("g.onnx",)),
    ]


def found(folder: Path, missing: dict[str, str]) -> dict[tuple[Any, ...], Quantity]:
    runs = live_in_turns(ways(folder), replace(QUICKEST, lives=3, calls=4), None, missing.__setitem__)
    return {(one.part, one.system, one.what, one.batch): one for one in process_quantities(runs)}


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


# ---- a real bundle


@pytest.mark.slow
def test_a_bundle_is_measured_from_import_to_its_top_bucket(
    bundle: Path, light_imports: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganport_runtime.backends.cuda.refusal", lambda: "no driver here")
    steps: list[str] = []
    found = measure(bundle, QUICKEST, steps.append)
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert steps
    kinds = {way["name"]: way["kind"] for way in document["ways"]}
    assert kinds["ganport"] == "ganport"
    assert kinds["bare ONNX Runtime"] == kinds["bare OpenVINO"] == "bare"
    assert {way["name"]: way["peer"] for way in document["ways"]}["ganport, openvino"] == "bare OpenVINO"
    assert {one["part"] for one in document["quantities"]} == {
        "import", "start", "warm-up", "memory", "bundle", "installed",
    }  # fmt: skip
    warm = [one["batch"] for one in document["quantities"] if (one["system"], one["what"]) == ("ganport", "first call")]
    assert tuple(warm) == BUCKETS
    for one in document["quantities"]:
        assert one["low"] <= one["value"] <= one["high"]
    probe = "ganport", "probe: the first opening over later ones"
    assert probe in {(one["system"], one["what"]) for one in document["quantities"]}
    assert document["missing"]["ganport, tensorrt on cuda"] == "no driver here"
    shown = {table.title: table for table in tables({"start": document})}
    starts = next(table for title, table in shown.items() if title.startswith("From a fresh process"))
    assert [row[0] for row in starts.rows] == [way["name"] for way in document["ways"]]
    assert "ganport, tensorrt on cuda" in shown["What the processes opened"].note
    (every,) = (table for table in shown.values() if table.is_long)
    assert len(every.rows) == len(document["quantities"])


def names(ways: tuple[Way, ...]) -> list[str]:
    return [way.name for way in ways]


def test_a_record_of_this_machine_is_used_and_no_tuning_done(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganport_bench.records.tune", lambda *_, **__: pytest.fail("tuned again"))
    with own_cache(tmp_path / "users"):
        write_record(bundle, ONNXRUNTIME)
        before = sorted((tmp_path / "users").rglob("*"))
        ways = ways_of(Bundle.open(bundle), tmp_path / "caches", 1.0, lambda *_: None)
        assert sorted((tmp_path / "users").rglob("*")) == before
    tuned = next(way for way in ways if way.name == "ganport, tuned")
    assert tuned.runs == ("generator-phase-fp32 by onnxruntime, CPUExecutionProvider, threads 1",)
    assert tuned.peer == ""


@pytest.mark.slow
def test_a_record_of_another_machine_is_not(bundle: Path, tmp_path: Path) -> None:
    with own_cache(tmp_path / "users"):
        write_record(bundle, ONNXRUNTIME, engines={"onnxruntime": "0.1"})
        ways = ways_of(Bundle.open(bundle), tmp_path / "caches", 0.2, lambda *_: None)
    assert "ganport, tuned" in names(ways)


@pytest.mark.slow
def test_a_way_is_measured_once_and_one_that_there_is_not_is_named(bundle: Path, tmp_path: Path) -> None:
    missing: dict[str, str] = {}
    with own_cache(tmp_path / "users"):
        ways = ways_of(Bundle.open(bundle), tmp_path / "caches", 0.2, missing.__setitem__)
    assert names(ways)[:2] == ["ganport", "ganport, openvino"]
    assert "ganport, tensorrt on cuda" in missing
    assert "ganport, onnxruntime" not in names(ways)


# ---- sizes


def test_a_bundle_is_counted_by_kind_of_file(bundle: Path) -> None:
    (bundle / "fidelity").mkdir()
    (bundle / "fidelity" / "picture.png").write_bytes(b"x" * 100)
    (bundle / "samples.png").write_bytes(b"x" * 30)
    (bundle / "LICENSE").write_bytes(b"x" * 7)
    found = {one.what: one for one in bundle_quantities(Bundle.open(bundle))}
    fp32 = [(bundle / f"generator-{form}-fp32.onnx").stat().st_size for form in ("deconv", "phase")]
    assert found["generator graphs, fp32"].estimate.value == sum(fp32)
    assert found["generator graphs, fp32"].note == "2 files"
    assert found["probe"].estimate.value == (bundle / "probe.npz").stat().st_size
    assert found["manifest"].note == "1 file"
    assert found["pictures for the eye"].estimate.value == 130
    assert found["other"].estimate.value == 7
    every = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())
    assert found["all of it"].estimate.value == every
    assert {(one.part, one.unit, one.repetitions) for one in found.values()} == {("bundle", "bytes", 1)}


def install(folder: Path, name: str, size: int, *requires: str, origin: str | None = None) -> None:
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {one}" for one in requires)]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.bin").write_bytes(b"x" * size)
    (info / "RECORD").write_text(f"{name}.bin,,\n{name}.removed,,\n")
    if origin is not None:
        (info / "direct_url.json").write_text(origin)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_a_package_is_counted_with_what_it_requires_here(packages: Path) -> None:
    install(packages, "made-up-top", 100, "Made_Up.Middle>=1", "made-up-extra; extra == 'more'")
    install(packages, "made-up-middle", 20, "made-up-top", "made-up-other; python_version < '3'", "made-up-absent")
    install(packages, "made-up-extra", 5)
    install(packages, "made-up-other", 5)
    assert closure("made-up-top") == ("made-up-top", "made-up-middle")
    assert closure("made-up-top[more]") == ("made-up-top", "made-up-middle", "made-up-extra")
    assert installed_bytes("made-up-top") == 100
