import json
from pathlib import Path

import overhead
import pytest
from ganport_bench.errors import BenchError
from ganport_bench.figures import Figure
from ganport_bench.machine import busy
from overhead import peak_bytes


def test_opening_and_sampling_are_measured_on_a_given_bundle(bundle: Path) -> None:
    opening = overhead.opening(bundle, 3)
    assert (opening.name, opening.unit, opening.wanted, opening.is_floor) == ("open", "x", 1.2, False)
    assert opening.details["model_bytes"] == (bundle / "generator.onnx").stat().st_size
    assert opening.estimate is not None
    assert opening.estimate.low > 0
    large, one, new_seed = overhead.sampling(bundle, 3, 3)
    assert [(figure.name, figure.unit) for figure in (large, one, new_seed)] == [
        ("sample_64", "%"),
        ("sample_1", "us"),
        ("sample_1_new_seed", "us"),
    ]
    assert large.details["ganport_images_per_second"] > 0  # type: ignore[operator]
    assert one.details["bare_us"] > 0  # type: ignore[operator]


@pytest.mark.slow
def test_imports_are_timed_in_fresh_interpreters(capsys: pytest.CaptureFixture[str]) -> None:
    assert overhead.main(["--only", "import", "--quick", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    (figure,) = document["figures"]
    assert (figure["wanted"], figure["is_floor"]) == (20, False)
    assert figure["details"]["numpy_ms"] > 1
    assert document["is_quick"] is True
    assert document["machine"]["packages"]["numpy"]
    assert "import ganport_runtime, over import numpy alone" in err


@pytest.mark.parametrize(("load", "is_busy"), [(0.1, False), (3.0, True), (None, False)])
def test_the_load_of_a_busy_machine_is_shown(load: float | None, *, is_busy: bool) -> None:
    assert bool(busy({"load_average_1min": load})) is is_busy


def test_an_interrupt_takes_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(rounds: int) -> Figure:
        raise KeyboardInterrupt

    monkeypatch.setattr(overhead, "importing", interrupted)
    assert overhead.main(["--only", "import"]) == 130
    assert capsys.readouterr().err.strip() == "overhead: interrupted"


def test_a_missing_bundle_takes_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert overhead.main(["--only", "open", "--bundle", str(tmp_path / "none.ganport")]) == 1
    out, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if line.strip()]
    assert out == ""
    assert line.startswith("overhead: ")
    assert "none.ganport is missing" in line


# --- memory

MIB = 2**20

# Stands in for the command that is measured: holds a known amount of memory and writes what it was asked for.
COMMAND = """
import sys
from pathlib import Path
words = sys.argv[1:]
count, out = int(words[words.index("--count") + 1]), Path(words[words.index("--out") + 1])
held = b"x" * (count * 2**20)
out.mkdir()
for index in range({written}):
    (out / f"{{index}}.png").touch()
print("a line of its own")
sys.exit({status})
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, written: str = "count", status: str = "0") -> None:
    package = folder / "ganport_cli"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(COMMAND.format(written=written, status=status))
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.mark.slow
def test_the_peak_is_that_of_the_measured_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much this process, its parent, holds."""
    install(tmp_path, monkeypatch)
    ballast = b"x" * (300 * MIB)
    small = peak_bytes(Path("some.ganport"), tmp_path / "images", 8)
    large = peak_bytes(Path("some.ganport"), tmp_path / "images", 108)
    assert small < len(ballast) / 3
    assert large - small == pytest.approx(100 * MIB, rel=0.05)
    assert not (tmp_path / "images").exists()


def test_a_command_that_fails_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, status="'no such bundle'")
    failure = r"ganport generate some\.ganport --count 1 .* fails in a fresh interpreter: no such bundle"
    with pytest.raises(BenchError, match=failure):
        peak_bytes(Path("some.ganport"), tmp_path / "images", 1)
    assert not (tmp_path / "images").exists()


def test_a_command_that_writes_too_few_images_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, written="count - 1")
    with pytest.raises(BenchError, match="wrote 2 images"):
        peak_bytes(Path("some.ganport"), tmp_path / "images", 3)
