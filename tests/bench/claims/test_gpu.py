"""`make gpu`: its environment by the real make and pip, its tests by real runs of pytest, its commands noted."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gpu
import pytest
from gpu import PAGE, ROOT, GpuError, missing_gpu, requirements, run_benchmark, run_tests

from tests.bench.test_page import document

GPU = {
    "name": "NVIDIA L4",
    "driver": "580.65",
    "memory_bytes": 24 * 2**30,
    "compute_capability": "8.9",
    "power_limit_watts": 72.0,
    "throttled_seconds": {"power": 2.5, "heat": 0.0, "sync_boost": None},
}
DOCUMENT = {**document(), "machine": {**document()["machine"], "gpu_note": "", "gpus": [GPU]}}
NEEDED = ("tiny", "onnxruntime_gpu", "pytest")
PYPROJECT = """
[project]
dependencies = ["tiny>=1"]
[project.optional-dependencies]
gpu = ["ganport[cli]", "onnxruntime-gpu[cuda,cudnn]>=1"]
train = []
optimize = ["ganport[cpu]", "onnxruntime>=1"]
cli = ["tiny>=2"]
bench = ["welcome>=1", "absent>=1; python_version > '3'"]
features = ["broken>=1"]
rtx = []
tensorrt = []
openvino = []
serve = []
dev = ["ganport[bench]", "pytest>=8", "ruff"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A source tree that wants few packages."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "constraints.txt").write_text("tiny==9.0\n")
    for name in ("Makefile", "bench/claims/gpu.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


# --- is there a GPU


class Driver:
    """`libcuda` with so many GPUs, or with an error."""

    def __init__(self, gpus: int, status: int = 0) -> None:
        self._gpus, self._status = gpus, status

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self._status

    def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count._obj.value = self._gpus
        return 0


def no_driver(library: str) -> Driver:
    raise OSError(library)


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        (no_driver, "no NVIDIA driver (libcuda.so.1 cannot be loaded)"),
        (lambda _name: Driver(0, status=100), "the NVIDIA driver finds no GPU that it can use (CUDA error 100)"),
        (lambda _name: Driver(0), "the NVIDIA driver is there without a GPU"),
        (lambda _name: Driver(2), None),
    ],
)
def test_the_driver_is_asked_for_gpus(
    library: Callable[[str], Driver], reason: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "sys", SimpleNamespace(platform="linux"))
    monkeypatch.setattr(ctypes, "CDLL", library)
    assert missing_gpu() == reason


def test_looking_for_a_gpu_needs_nothing_but_pythons_own_library() -> None:
    """As on a bare machine: isolated from the environment's packages."""
    command = [sys.executable, "-I", "-S", str(ROOT / "bench" / "claims" / "gpu.py")]
    subprocess.run([*command, "--missing"], check=True)
    assert b"onnxruntime-gpu" in subprocess.run([*command, "--list", "all"], check=True, capture_output=True).stdout


# --- the environment


def put_wheel(folder: Path, name: str, needs: str = "", version: str = "9.0") -> None:
    """A wheel with one module, built by hand."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    metadata += f"Requires-Dist: {needs}\n" if needs else ""
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", "")
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


def make(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(root), f"PYTHON={sys.executable}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_requirements_are_those_of_the_extras_each_package_once(root: Path) -> None:
    assert requirements(root, "needed", None) == ["tiny>=1", "onnxruntime-gpu[cuda,cudnn]>=1", "pytest>=8"]
    assert requirements(root, "welcome", None) == ["welcome>=1", "absent>=1; python_version > '3'", "broken>=1"]
    names = [gpu._name(line) for line in requirements(ROOT, "all", None)]
    assert len(names) == len(set(names))
    assert {"torch", "onnx", "onnxruntime-gpu", "cuda-bindings", "pytest"} <= set(names)
    assert not [name for name in names if name == "onnxruntime" or name.startswith("ganport")]


def test_a_folder_of_wheels_decides_which_onnxruntime_there_is(root: Path) -> None:
    wheels = root / "wheels"
    for name in ("tiny", "pytest", "onnxruntime", "broken"):
        put_wheel(wheels, name)
    assert requirements(root, "all", wheels) == ["tiny>=1", "onnxruntime", "pytest>=8", "broken>=1"]
    put_wheel(wheels, "onnxruntime_gpu")
    assert requirements(root, "needed", wheels)[1] == "onnxruntime-gpu>=1", "CUDA may be the system's"
    put_wheel(wheels, "nvidia_cudnn_cu13")
    assert requirements(root, "needed", wheels)[1] == "onnxruntime-gpu[cuda,cudnn]>=1"


@pytest.mark.slow
def test_an_environment_of_wheels_alone(root: Path) -> None:
    for name in (*NEEDED, "welcome"):
        put_wheel(root / "wheels", name)
    put_wheel(root / "wheels", "broken", needs="nowhere")
    (root / "bench" / "own_part.py").write_text("")
    made = make(root, ".venv-gpu/.installed", "WHEELS=wheels")
    assert made.returncode == 0, made.stderr
    assert "broken>=1 is left out" in made.stderr
    python = root / ".venv-gpu" / "bin" / "python"
    subprocess.run([python, "-c", "import tiny, onnxruntime_gpu, welcome, own_part"], check=True)
    assert subprocess.run([python, "-c", "import broken"], capture_output=True, check=False).returncode == 1
    again = make(root, ".venv-gpu/.installed", "WHEELS=wheels")
    assert "up to date" in again.stdout, "nothing has changed, so that nothing is made again"


@pytest.mark.slow
def test_an_environment_from_where_pips_settings_point(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(root / "offered"))
    lacking = make(root, ".venv-gpu/.installed")
    assert lacking.returncode == 2
    assert "without an index: make gpu WHEELS=folder" in lacking.stderr
    for name in NEEDED:
        put_wheel(root / "offered", name)
    put_wheel(root / "offered", "tiny", version="9.1")
    made = make(root, ".venv-gpu/.installed")
    assert made.returncode == 0, made.stderr
    assert "absent>=1; python_version > '3' is left out" in made.stderr
    ask = "from importlib.metadata import version; import onnxruntime_gpu; print(version('tiny'))"
    python = root / ".venv-gpu" / "bin" / "python"
    assert subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout == "9.0\n"


def test_wheels_that_are_missing_are_named_before_anything_is_made(root: Path) -> None:
    put_wheel(root / "wheels", "tiny")
    made = make(root, ".venv-gpu/.installed", "WHEELS=wheels")
    assert made.returncode == 2
    assert "make gpu: wheels lacks wheels of onnxruntime-gpu, pytest; fill it on a machine" in made.stderr
    assert "which is no folder" in make(root, ".venv-gpu/.installed", "WHEELS=nowhere").stderr
    assert not (root / ".venv-gpu").exists()


def test_one_line_where_there_is_no_gpu_and_nothing_is_made(root: Path) -> None:
    if missing_gpu() is None:
        pytest.skip("there is a GPU")
    made = make(root, "gpu", "WHEELS=no-such-folder")
    assert made.returncode == 0, made.stderr
    (line,) = [line for line in made.stdout.splitlines() if "ing directory" not in line]
    assert line.startswith("make gpu: ")
    assert line.endswith("; there is nothing to test and to measure")
    assert not (root / ".venv-gpu").exists()


# --- tests


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
    assert run_tests(root, root) == ("1 passed, 1 failed, 1 skipped (1 x no TensorRT)", 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            """
            import pytest
            pytest.importorskip("no_such_library", reason="no library")
            @pytest.mark.gpu
            def test_something(): pass
            """,
            r"there is a GPU, and no gpu test ran: 0 passed.*1 x no library",
        ),
        ("import no_such_library  # mark.gpu\n", "pytest ended with 2 before its tests had run"),
    ],
    ids=["all skipped", "not collected"],
)
def test_tests_that_do_not_run_are_a_failure_where_there_is_a_gpu(root: Path, text: str, told: str) -> None:
    put_tests(root, text)
    with pytest.raises(GpuError, match=told):
        run_tests(root, root)


# --- benchmark and page


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands of ganport that would run; `bench` prints a document, and `tensorrt_rtx` alone can be imported."""
    noted: list[list[str]] = []

    def run(command: list[str | Path], **_options: object) -> SimpleNamespace:
        if command[1] == "-c":
            return SimpleNamespace(returncode=0 if "tensorrt_rtx" in str(command[2]) else 1)
        words = [str(word) for word in command[3:]]
        noted.append(words)
        if words[0] == "export":
            bundle = Path(words[words.index("--out") + 1])
            bundle.mkdir()
            (bundle / "manifest.json").write_text(json.dumps({"training": {"steps": 7}}))
        return SimpleNamespace(returncode=1 if "failing" in words else 0, stdout=json.dumps(DOCUMENT))

    monkeypatch.setattr(gpu, "subprocess", SimpleNamespace(run=run, PIPE=subprocess.PIPE))
    return noted


def test_a_run_is_trained_exported_with_engines_and_measured(root: Path, commands: list[list[str]]) -> None:
    assert run_benchmark(root, root, None, quick=True) == DOCUMENT
    assert json.loads((root / "bench.json").read_text()) == DOCUMENT
    train, export, bench = (" ".join(words) for words in commands)
    assert train.startswith("train --data digits")
    assert export == f"export {root}/run --out {root}/generator.ganport --engines tensorrt-rtx"
    assert bench == f"bench {root}/run --bundle {root}/generator.ganport --report {root}/report --json --quick"


def test_a_command_that_fails_ends_it(root: Path, commands: list[list[str]]) -> None:
    with pytest.raises(GpuError, match="ganport export ended with 1"):
        run_benchmark(root, root, Path("failing"), quick=False)
    assert [words[0] for words in commands] == ["export"]


@pytest.mark.usefixtures("commands")
def test_the_page_is_filled_and_its_words_stay(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "docs").mkdir()
    shutil.copy(ROOT / "docs" / PAGE, root / "docs" / PAGE)
    monkeypatch.setattr(gpu, "run_tests", lambda *_: ("40 passed", 0))
    gpu.measure(root, None, quick=False)
    text = (root / "docs" / PAGE).read_text()
    (copy,) = (root / "gpu-results").glob(f"*/{PAGE}")
    assert copy.read_text() == text
    assert "Nothing has been measured" not in text
    assert "## Without an index" in text
    for words in ("24 GiB, compute capability 8.9", "power limit 72 W", "held back for 2.5 s by power"):
        assert words in text
    assert "- Measured: a run of 7 steps\n" in text
    assert "- Tests marked `gpu`: 40 passed\n" in text
    assert "ONNX Runtime" in text


@pytest.mark.parametrize("text", [None, "# Someone else's page\n"])
def test_a_page_that_cannot_be_filled_is_refused_before_anything_is_measured(root: Path, text: str | None) -> None:
    if text is not None:
        (root / "docs").mkdir()
        (root / "docs" / PAGE).write_text(text)
    with pytest.raises(GpuError, match=PAGE):
        gpu.measure(root, None, quick=False)
    assert not (root / "gpu-results").exists()


def test_failed_tests_are_a_failure_after_the_page_is_written(
    root: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "docs").mkdir()
    shutil.copy(ROOT / "docs" / PAGE, root / "docs" / PAGE)
    monkeypatch.setattr(gpu, "run_tests", lambda *_: ("1 passed, 2 failed", 2))
    assert gpu.main([], root) == 1
    assert "make gpu: 2 of the tests marked gpu failed" in capsys.readouterr().err
    assert "1 passed, 2 failed" in (root / "docs" / PAGE).read_text()
