"""Environments of wheels that are built by hand, by the real pip."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest
from ganport_bench.gpu import source
from ganport_bench.gpu.__main__ import ROOT, main
from ganport_bench.gpu.environment import FOLDER, make_environment
from ganport_bench.gpu.failure import GpuError
from ganport_bench.gpu.requirements import Requirements, name_of, requirements, wheels_in

NEEDED = ("tiny", "onnxruntime_gpu", "pytest")


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


def test_what_is_needed_and_what_is_welcome(root: Path) -> None:
    wanted = requirements(root / "pyproject.toml")
    assert wanted.needed == ["tiny>=1", "onnxruntime-gpu[cuda,cudnn]>=1", "pytest>=8"]
    assert wanted.welcome == ["welcome>=1", "absent>=1", "broken>=1"]
    served = wanted.served_by(["tiny", "onnxruntime", "broken"])
    assert served == Requirements(["tiny>=1", "onnxruntime", "pytest>=8"], ["broken>=1"])


def test_cuda_is_asked_for_where_the_folder_has_it(root: Path) -> None:
    wanted = requirements(root / "pyproject.toml")
    assert wanted.served_by(["onnxruntime-gpu"]).needed[1] == "onnxruntime-gpu>=1", "the system may have it"
    assert wanted.served_by(["onnxruntime-gpu", "nvidia-cudnn-cu13"]).needed == wanted.needed


def test_the_projects_own_requirements_name_each_package_once() -> None:
    wanted = requirements(ROOT / "pyproject.toml")
    names = [name_of(line) for line in (*wanted.needed, *wanted.welcome)]
    assert len(names) == len(set(names))
    assert {"torch", "onnx", "onnxruntime-gpu", "cuda-bindings", "pytest"} <= set(names)
    assert "onnxruntime" not in names
    assert not [name for name in names if name.startswith("ganport")]


def test_an_environment_of_wheels_alone(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wheels = root / "wheels"
    for name in (*NEEDED, "welcome"):
        put_wheel(wheels, name)
    put_wheel(wheels, "broken", needs="nowhere")
    (root / "bench" / "own_part.py").write_text("")
    assert wheels_in(wheels) == ["broken", "onnxruntime-gpu", "pytest", "tiny", "welcome"]
    python = make_environment(root, source.wheels(root, wheels))
    subprocess.run([python, "-c", "import tiny, onnxruntime_gpu, welcome, own_part"], check=True)
    assert subprocess.run([python, "-c", "import broken"], capture_output=True, check=False).returncode == 1
    assert "broken is left out" in capfd.readouterr().err
    marker = root / FOLDER / "kept"
    marker.touch()
    make_environment(root, source.wheels(root, wheels))
    assert marker.exists(), "nothing has changed, so that nothing is made again"


@pytest.fixture
def offered(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip's settings name in place of an index."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(root / "offered"))
    return root / "offered"


def test_an_environment_from_where_pips_settings_point(
    root: Path, offered: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in NEEDED:
        put_wheel(offered, name)
    put_wheel(offered, "tiny", version="9.1")
    monkeypatch.setattr("ganport_bench.gpu.__main__.missing_gpu", lambda: pytest.fail("it is asked for no GPU"))
    assert main(["--prepare"], root) == 0
    assert "absent is left out" in capfd.readouterr().err
    ask = "from importlib.metadata import version; import onnxruntime_gpu; print(version('tiny'))"
    python = make_environment(root, source.index(root))
    assert subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True).stdout == "9.0\n"
    assert not (root / ".venv").exists()
    assert capfd.readouterr().err == "", "nothing has changed, so that nothing is made again"


@pytest.mark.usefixtures("offered")
def test_an_index_without_what_is_needed_says_what_to_do(root: Path) -> None:
    with pytest.raises(GpuError, match=r"from packages of an index; .*without an index: make gpu WHEELS=folder"):
        make_environment(root, source.index(root))
    assert not (root / FOLDER / "made-of.txt").exists()


def test_wheels_that_are_missing_are_named_before_anything_is_made(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_wheel(root / "wheels", "tiny")
    monkeypatch.setattr("ganport_bench.gpu.__main__.missing_gpu", lambda: None)
    assert main(["--wheels", str(root / "wheels")], root) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"make gpu: {root / 'wheels'} lacks wheels of onnxruntime-gpu, pytest; fill it on a machine")
    assert len(err.splitlines()) == 1
    assert not (root / FOLDER).exists()
    assert main(["--wheels", str(root / "nowhere")], root) == 1
    assert "which is no folder" in capsys.readouterr().err
