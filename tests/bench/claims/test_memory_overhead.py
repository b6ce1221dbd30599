from pathlib import Path

import pytest
from ganport_bench.errors import BenchError
from overhead import peak_bytes

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
