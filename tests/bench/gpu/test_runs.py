"""What `make gpu` runs: real runs of pytest, and a program in Python's place that notes the commands."""

import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from ganport_bench.gpu.benchmark import run_benchmark, steps_of
from ganport_bench.gpu.failure import GpuError
from ganport_bench.gpu.outcome import Outcome, run_tests


def put_tests(root: Path, text: str) -> None:
    (root / "tests").mkdir()
    (root / "tests" / "test_on_gpu.py").write_text(textwrap.dedent(text))
    (root / "tests" / "test_other.py").write_text("import no_such_package\n")
    (root / "pytest.ini").write_text("[pytest]\nmarkers = gpu: needs one\n")


def test_gpu_tests_alone_run_and_are_counted(root: Path) -> None:
    put_tests(
        root,
        """
        import pytest
        @pytest.mark.gpu
        def test_right(): pass
        @pytest.mark.gpu
        def test_wrong(): assert 1 == 2
        @pytest.mark.gpu
        def test_absent(): pytest.skip("no TensorRT")
        def test_without_gpu(): assert False
        """,
    )
    found = run_tests(Path(sys.executable), root, root)
    assert found == Outcome(passed=1, failed=1, skipped={"no TensorRT": 1})
    assert str(found) == "1 passed, 1 failed, 1 skipped (1 x no TensorRT)"


def test_skipping_everything_is_a_failure_where_there_is_a_gpu(root: Path) -> None:
    put_tests(
        root,
        """
        import pytest
        pytest.importorskip("no_such_library", reason="no library")
        @pytest.mark.gpu
        def test_something(): pass
        """,
    )
    with pytest.raises(GpuError, match=r"there is a GPU, and no gpu test ran: 0 passed.*1 x no library"):
        run_tests(Path(sys.executable), root, root)


def test_tests_that_cannot_be_collected_are_a_failure(root: Path) -> None:
    put_tests(root, "import no_such_library  # mark.gpu\n")
    with pytest.raises(GpuError, match="pytest ended with 2 before its tests had run"):
        run_tests(Path(sys.executable), root, root)


NOTING = """#!{python}
import json, sys
from pathlib import Path
words = sys.argv[1:]
if words[0] == "-c":
    sys.exit(0 if "tensorrt_rtx" in words[1] else 1)
with open({log!r}, "a") as log:
    print(*words, file=log)
if words[2] == "bench":
    print(json.dumps({{"format": 2}}))
sys.exit(1 if words[2] == {failing!r} else 0)
"""


@pytest.fixture
def noting(root: Path) -> Callable[[str], Path]:
    """A program in Python's place that notes what it is asked for, and fails at one command."""

    def make(failing: str) -> Path:
        program = root / "python"
        program.write_text(NOTING.format(python=sys.executable, log=str(root / "log"), failing=failing))
        program.chmod(0o755)
        return program

    return make


def test_a_run_is_trained_exported_with_engines_and_measured(root: Path, noting: Callable[[str], Path]) -> None:
    document = run_benchmark(noting("none"), root, root, quick=True)
    assert json.loads(document.read_text()) == {"format": 2}
    train, export, bench = (root / "log").read_text().splitlines()
    assert train.startswith("-m ganport_cli train --data digits")
    assert export == f"-m ganport_cli export {root}/run --out {root}/generator.ganport --engines tensorrt-rtx"
    how = f"--bundle {root}/generator.ganport --report {root}/report --json --quick"
    assert bench == f"-m ganport_cli bench {root}/run {how}"


def test_a_command_that_fails_ends_it(root: Path, noting: Callable[[str], Path]) -> None:
    with pytest.raises(GpuError, match="ganport bench ended with 1"):
        run_benchmark(noting("bench"), root, root, run=root / "mine")
    assert not (root / "bench.json").exists()
    assert "train" not in (root / "log").read_text().splitlines()[0].split()


@pytest.mark.parametrize(("training", "steps"), [({"steps": 100}, 100), ({}, None)])
def test_the_bundle_tells_how_long_it_was_trained(tmp_path: Path, training: dict[str, int], steps: int | None) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"training": training}))
    assert steps_of(tmp_path) == steps


def test_the_commands_options_are_those_of_ganport() -> None:
    """What `run_benchmark` passes is known to the real commands."""
    options = {
        "train": ("--data", "--resolution", "--width", "--batch-size", "--steps", "--out"),
        "export": ("--out", "--engines"),
        "bench": ("--bundle", "--report", "--json", "--quick"),
    }
    for command, words in options.items():
        asked = [sys.executable, "-m", "ganport_cli", command, "--help"]
        shown = subprocess.run(asked, capture_output=True, text=True, check=True, env={"COLUMNS": "200"})
        missing = [word for word in words if word not in shown.stdout]
        assert not missing, command
