import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ganport_bench.effort import FULL, QUICK
from ganport_bench.errors import BenchError
from ganport_bench.whole import PARTS, Asked, Whole, effort_of, measure_whole, remarks, to_json

from tests.bench.whole.conftest import EFFORT, quickly


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

    def __call__(self, parts: Sequence[str] | None = None) -> Whole:
        asked = Asked(self.bundle, EFFORT, self.folder / "logs", parts=parts)
        return measure_whole(asked, self.folder, lambda _step: None)


@pytest.fixture
def short(bundle: Path, tmp_path: Path) -> Iterator[Short]:
    found = Short(bundle, tmp_path, [], [])
    with quickly() as patch:
        names = ("start", "scenarios", "load")
        patch.setattr("ganport_bench.whole.asked.PARTS", names)
        parts = {name: Part(name, found.ran, found.fails) for name in names}
        patch.setattr("ganport_bench.whole.measure._PARTS", parts)
        yield found


def test_all_parts_run_in_their_order(short: Short) -> None:
    document = to_json(short())
    assert short.ran == ["start", "scenarios", "load"]
    assert (document["start"], document["skipped"]) == ({"is": "start"}, {})
    assert document["model"]["reference"] is None


def test_a_part_that_cannot_run_is_skipped_and_said(short: Short) -> None:
    short.fails.append("scenarios")
    whole = short()
    assert short.ran == ["start", "scenarios", "load"]
    assert to_json(whole)["skipped"] == {"scenarios": "scenarios has no driver"}
    assert "scenarios" not in to_json(whole)
    assert "skipped: scenarios: scenarios has no driver" in remarks(whole)


@pytest.mark.parametrize("parts", [None, ("start", "load")])
def test_a_part_that_breaks_down_costs_nothing_of_the_others(short: Short, parts: tuple[str, ...] | None) -> None:
    """By name or not: that something is missing which was asked for by name, the command says at its end."""
    short.fails.append("load breaks")
    document = to_json(short(parts))
    assert document["start"] == {"is": "start"}
    assert document["skipped"] == {"load": "it broke down: ProcessLookupError: nobody is there"}


def test_parts_run_in_their_order_whatever_order_they_are_named_in(short: Short) -> None:
    short(("load", "start"))
    assert short.ran == ["start", "load"]


def test_nodes_may_be_named_before_the_speed_that_they_are_of() -> None:
    assert Asked(Path("b"), EFFORT, Path("logs"), parts=("nodes", "speed")).in_order == ("speed", "nodes")


def test_what_one_part_needs_alone_keeps_no_other_from_running() -> None:
    missing = "sys.modules.update(psutil=None, granian=None, grpc=None, mlperf_loadgen=None, matplotlib=None)"
    parts = ("whole", "speed.measure", "nodes", "start", "scenarios", "report", "load")
    code = f"import sys; {missing}; import {', '.join(f'ganport_bench.{part}' for part in parts)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_document_says_how_long_everyone_was_measured(short: Short) -> None:
    effort = to_json(short(("start",)))["effort"]
    assert effort["rounds"] == EFFORT.rounds
    assert effort["seconds_a_batch_size"] == EFFORT.batch_seconds


def test_nothing_at_all_is_an_error(short: Short) -> None:
    short.fails += ["start", "scenarios", "load"]
    with pytest.raises(BenchError, match="start: start has no driver; scenarios: "):
        short()


def test_a_package_that_is_missing_is_found_out_before_anything_runs(
    short: Short, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("ganport_bench.whole.asked", fromlist=["NEEDS"]).NEEDS, "load", ("no_such_module",))
    with pytest.raises(BenchError, match=r"load: no_such_module is not installed: pip install 'ganport\[bench"):
        short(parts=("start", "load"))
    assert short.ran == []
    assert set(short().skipped) == {"load"}


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
        Asked(Path("b"), EFFORT, Path("logs"), **values)  # type: ignore[arg-type]


def test_parts_are_those_of_the_document() -> None:
    assert PARTS == ("speed", "nodes", "start", "scenarios", "load")


def test_seconds_are_shared_out() -> None:
    full, quick = effort_of(None, is_quick=False), effort_of(None, is_quick=True)
    assert (full.is_quick, full.rounds) == (False, FULL.rounds)
    assert (quick.is_quick, quick.rounds) == (True, QUICK.rounds)
    assert effort_of(2 * 720, is_quick=False).batch_seconds == 2 * full.batch_seconds
    assert effort_of(720, is_quick=False, batches=1).batch_seconds == pytest.approx(3 * full.batch_seconds)
    assert effort_of(100, is_quick=False).is_quick
