"""The scripts that people copy, run as they are, from another folder."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ganport_runtime import Bundle, Generator
from PIL import Image

from tests.support.bundles import make_bundle, make_weights
from tests.support.serving import serving

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny.ganport", make_weights())


def run(name: str, folder: Path, *words: object) -> str:
    """What an example prints; it must end well."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_short_and_says_how_to_run_it() -> None:
    scripts = sorted(EXAMPLES.glob("*.py"))
    assert len(scripts) == 5
    for script in scripts:
        text = script.read_text()
        assert text.count("\n") < 60, script.name
        assert f"    python examples/{script.name}" in text


def test_train_and_export(tmp_path: Path) -> None:
    printed = run("train_and_export", tmp_path, "out", 4)
    assert "trained to step 4" in printed
    assert Bundle.open(tmp_path / "out/digits.ganport").variants("generator")
    with Image.open(tmp_path / "out/digits.png") as picture:
        assert picture.size == (8 * 18, 8 * 18)


def test_own_generator(tmp_path: Path) -> None:
    printed = run("own_generator", tmp_path, "out")
    assert "images: uint8 (16, 32, 32, 3)" in printed
    assert {variant.precision for variant in Bundle.open(tmp_path / "out/mine.ganport").variants("generator")} >= {
        "fp32",
        "int8",
    }


def test_embed_in_an_app(bundle: Path, tmp_path: Path) -> None:
    assert "160 images for 8 threads, then 32 for an event loop" in run("embed_in_an_app", tmp_path, bundle)


def test_latency(bundle: Path, tmp_path: Path) -> None:
    printed = run("latency", tmp_path, bundle, 2)
    count, p50 = int(printed.split("\n")[1].split()[0]), float(re.findall(r"p50 ([\d.]+) ms", printed)[0])
    assert 0 < p50 < 2000
    assert count * p50 < 2 * 2000  # half of the images took no longer than the median
    assert ("p99: not from" in printed) == (count < 1000)


def test_client(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = load("client")
    with serving(bundle, "--no-grpc", token="secret") as server, Generator.open(bundle) as generator:
        monkeypatch.setenv("GANPORT_TOKEN", "wrong")
        with pytest.raises(SystemExit, match="401"):
            client.images(server.url, seed=7, count=4)
        monkeypatch.setenv("GANPORT_TOKEN", "secret")
        printed = run("client", tmp_path, server.url)
        np.testing.assert_array_equal(client.images(server.url, seed=7, count=4), generator.sample(4, seed=7))
    assert "array: (4, " in printed
    with Image.open(tmp_path / "sixteen.png") as picture:
        assert picture.format == "PNG"
