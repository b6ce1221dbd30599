"""What the package offers, and what importing it brings along."""

import subprocess
import sys

import ganport_runtime
import pytest


def test_the_public_names_are_there() -> None:
    assert set(dir(ganport_runtime)) >= set(ganport_runtime.__all__)
    for name in ganport_runtime.__all__:
        assert getattr(ganport_runtime, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Trainer'"):
        _ = ganport_runtime.Trainer


def test_importing_it_brings_no_engine_and_no_other_library() -> None:
    code = (
        "import sys, ganport_runtime\n"
        "heavy = ['onnxruntime', 'torch', 'onnx', 'typer', 'rich', 'PIL', 'asyncio', 'importlib.metadata', 'logging']\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert run(code) == "[]"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()
