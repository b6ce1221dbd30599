"""Passes, quantization and `optimize` are free of PyTorch: none of their modules loads it."""

import subprocess
import sys

import pytest

SCRIPT = (
    "import importlib, sys; importlib.import_module(sys.argv[1]); print([n for n in ('torch',) if n in sys.modules])"
)


@pytest.mark.parametrize(
    "module", ["ganport_export.passes", "ganport_export.quantize", "ganport_export.optimize", "ganport_export.engines"]
)
def test_module_loads_no_pytorch(module: str) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, module], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
