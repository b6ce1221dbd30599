"""What is asked for, the order of the parts, and what a part that cannot run or breaks costs: nothing of the others."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from ganport_bench.effort import FULL, QUICK, effort_of
from ganport_bench.errors import BenchError
from ganport_bench.run import BenchOptions, BenchRun, run

EFFORT = replace(QUICK, tuning_seconds=0.5)


@dataclass
class Part:
    """A part in the place of a real one."""

    name: str
    ran: list[str]
    fails: list[str] = field(default_factory=list)

    def __call__(self, stage: object) -> "Part":
        self.ran.append(self.name)
        if self.name in self.fails:
            raise BenchError(f"{self.name} has no driver")
        if f"{self.name} breaks" in self.fails:
            raise ProcessLookupError("nobody is there")
        return self

    def to_json(self) -> dict[str, str]:
        return {"is": self.name}


@dataclass
class Short:
    """Measures with parts of no duration, on a real bundle."""

    bundle: Path
    folder: Path
    ran: list[str]
    fails: list[str]

    def __call__(self, parts: Sequence[str] | None = ("start", "scenarios", "load")) -> BenchRun:
        options = BenchOptions(self.bundle, EFFORT, self.folder / "logs", parts=parts)
        return run(options, self.folder, lambda _step: None)


@pytest.fixture
def short(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Short:
    found = Short(bundle, tmp_path, [], [])
    monkeypatch.setattr("ganport_runtime.tuning.tuner.TURN_SECONDS", 0.001)
    monkeypatch.setattr("ganport_runtime.tuning.tuner.ROUNDS", 2)
    parts = {name: Part(name, found.ran, found.fails) for name in ("nodes", "start", "scenarios", "load")}
    monkeypatch.setattr("ganport_bench.run._measure", lambda part, stage: parts[part](stage))
    return found


def test_parts_run_in_their_order_whatever_order_they_are_named_in(short: Short) -> None:
    document = short(("load", "start", "scenarios")).document
    assert short.ran == ["start", "scenarios", "load"]
    assert [document[part] for part in short.ran] == [{"is": part} for part in short.ran]
    assert document["skipped"] == {}
    assert document["model"]["reference"] is None
    assert document["effort"]["rounds"] == EFFORT.rounds
    assert list(document["took_seconds"]) == ["tuning", *short.ran]


def test_a_part_that_cannot_run_is_skipped_and_said(short: Short) -> None:
    short.fails.append("scenarios")
    document = short().document
    assert short.ran == ["start", "scenarios", "load"]
    assert document["skipped"] == {"scenarios": "scenarios has no driver"}
    assert "scenarios" not in document


def test_a_part_that_breaks_down_costs_nothing_of_the_others(short: Short) -> None:
    """By name or not: that something is missing which was asked for by name, the command says at its end."""
    short.fails.append("load breaks")
    document = short().document
    assert document["start"] == {"is": "start"}
    assert document["skipped"] == {"load": "it broke down: ProcessLookupError: nobody is there"}


def test_nothing_at_all_is_an_error(short: Short) -> None:
    short.fails += ["start", "scenarios", "load"]
    with pytest.raises(BenchError, match="start: start has no driver; scenarios: "):
        short()


@pytest.mark.slow
def test_what_one_part_needs_alone_keeps_no_other_from_running() -> None:
    missing = "sys.modules.update(psutil=None, granian=None, grpc=None, mlperf_loadgen=None, matplotlib=None)"
    parts = ("run", "speed", "nodes", "start", "scenarios", "page", "load", "compare")
    code = f"import sys; {missing}; import {', '.join(f'ganport_bench.{part}' for part in parts)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_package_that_is_missing_is_found_out_before_anything_runs(
    short: Short, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("ganport_bench.run", fromlist=["NEEDS"]).NEEDS, "load", ("no_such_module",))
    with pytest.raises(BenchError, match=r"load: no_such_module is not installed: pip install 'ganport\[bench"):
        short(parts=("start", "load"))
    assert short.ran == []
    monkeypatch.setattr("ganport_bench.run.PARTS", dict.fromkeys(("start", "scenarios", "load")))
    assert set(short(None).document["skipped"]) == {"load"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"parts": ("speed", "sped")}, "parts sped; wanted some of speed, nodes, start, scenarios, load"),
        ({"parts": ()}, "parts are none"),
        ({"parts": ("speed", "load", "speed")}, "parts speed twice; name each once"),
        ({"parts": ("nodes", "load")}, "parts nodes without speed"),
        ({"batches": ()}, r"batches \[\]"),
        ({"batches": (1, 0)}, r"batches \[1, 0\]; wanted different numbers from 1 to 4096"),
        ({"batches": (8, 8)}, "different"),
        ({"batches": (5000,)}, "4096"),
    ],
)
def test_what_there_is_not_is_refused(values: dict[str, tuple[object, ...]], said: str) -> None:
    with pytest.raises(BenchError, match=said):
        BenchOptions(Path("b"), EFFORT, Path("logs"), **values)  # type: ignore[arg-type]


def test_seconds_are_shared_out() -> None:
    full, quick = effort_of(None, is_quick=False), effort_of(None, is_quick=True)
    assert (full, quick) == (FULL, QUICK)
    assert effort_of(2 * 720, is_quick=False).batch_seconds == 2 * full.batch_seconds
    assert effort_of(720, is_quick=False, batches=1).batch_seconds == pytest.approx(3 * full.batch_seconds)
    assert effort_of(100, is_quick=False).is_quick
