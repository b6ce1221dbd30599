import sys
from pathlib import Path

import pytest
from ganport_bench.errors import BenchError
from ganport_bench.start.fresh import live
from ganport_bench.start.importing import importing, measure_imports

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
    assert importing("slow_and_large")() >= 0.2
    assert (step.later, step.gpu) == (None, None)
    if sys.platform == "linux":
        assert interpreter.resident is not None
        assert step.resident is not None
        assert step.peak is not None
        assert step.resident - interpreter.resident == pytest.approx(50 * MIB, rel=0.1)
        assert step.peak - interpreter.resident == pytest.approx(100 * MIB, rel=0.1)


def test_byte_code_is_kept_elsewhere_by_who_is_to_leave_none_beside_modules(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    live("import", "slow_and_large")
    assert not (module.parent / "__pycache__").exists()


def test_what_a_failing_process_said_last_is_told() -> None:
    with pytest.raises(BenchError, match="import no_such_module fails in a fresh interpreter: ModuleNotFoundError: "):
        importing("no_such_module")()


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
    monkeypatch.setattr("ganport_bench.start.importing.MODULES", ("made_up_broken", "numpy"))
    missing: dict[str, str] = {}
    assert [one.system for one in measure_imports(1, missing.__setitem__)] == ["numpy", "json"]
    assert "libmadeup.so.1 is not there" in missing["import made_up_broken"]
