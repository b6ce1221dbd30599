"""The light runtime is a fact: a wheel with onnxruntime alone, in an empty environment, generates from a bundle."""

import os
import subprocess
import sys
import venv
from importlib.metadata import PathDistribution
from pathlib import Path
from zipfile import Path as ZipPath

import numpy as np
import pytest
from ganport_runtime import Generator
from packaging.requirements import Requirement

from tests.support.bundles import make_bundle, make_weights

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "onnx", "onnxscript", "typer", "rich", "PIL", "sklearn", "safetensors")

GENERATE = """
import sys
import numpy as np
from ganport_runtime import Generator
with Generator.open(sys.argv[1]) as generator:
    np.save(sys.argv[2], generator.sample(70, seed=7))
    print(generator.plan.provider, "ganport_runtime" in sys.modules, generator.bundle.manifest.name)
"""
IMPORT = """
import importlib.util, sys
print([name for name in sys.argv[1:] if importlib.util.find_spec(name) is not None])
"""


def run(*command: str | Path) -> str:
    """Run a command in a clean setting, outside this source tree; its stdout."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=clean, cwd="/")
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr[-2000:]}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder, ROOT)
    return next(folder.glob("ganport-*.whl"))


@pytest.fixture(scope="module")
def binaries(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that holds the wheel and onnxruntime."""
    home = tmp_path_factory.mktemp("light") / "venv"
    venv.create(home, symlinks=True)
    programs = home / ("Scripts" if os.name == "nt" else "bin")
    pip = (sys.executable, "-m", "pip", "--python", programs / "python", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--constraint", ROOT / "constraints.txt", wheel, "onnxruntime")
    return programs


def test_the_package_needs_numpy_and_nothing_else(wheel: Path) -> None:
    folder = next(entry for entry in ZipPath(wheel).iterdir() if entry.name.endswith(".dist-info"))
    requirements = [Requirement(line) for line in PathDistribution(folder).requires or []]
    without_extras = [one.name for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]
    assert without_extras == ["numpy"]


def test_it_generates_the_same_images_as_here(binaries: Path, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "tiny.ganport", make_weights())
    said = run(binaries / "python", "-c", GENERATE, bundle, tmp_path / "images.npy")
    assert said == "CPUExecutionProvider True tiny"
    with Generator.open(bundle) as generator:
        assert np.array_equal(np.load(tmp_path / "images.npy"), generator.sample(70, seed=7))


def test_nothing_heavy_is_there(binaries: Path) -> None:
    assert run(binaries / "python", "-c", IMPORT, *HEAVY) == "[]"
    assert run(binaries / "python", "-c", IMPORT, "numpy", "onnxruntime") == "['numpy', 'onnxruntime']"


def test_the_command_line_says_in_one_line_what_to_install(binaries: Path) -> None:
    done = subprocess.run([binaries / "ganport", "doctor"], capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "ganport: the command line needs typer, rich, PIL: pip install 'ganport[cli]'\n"
