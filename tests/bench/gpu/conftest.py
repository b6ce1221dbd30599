"""A source tree that wants few packages."""

from pathlib import Path

import pytest
from ganport_bench.gpu.environment import PARTS

PYPROJECT = """
[project]
dependencies = ["tiny>=1"]
[project.optional-dependencies]
gpu = ["ganport[cli]", "onnxruntime-gpu[cuda,cudnn]>=1"]
train = []
optimize = ["ganport[cpu]", "onnxruntime>=1"]
cli = ["tiny>=2"]
bench = ["welcome>=1", "absent>=1"]
features = ["broken>=1"]
rtx = []
tensorrt = []
openvino = []
serve = []
dev = ["ganport[bench]", "pytest>=8", "ruff"]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A source tree with six empty folders."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    (tmp_path / "constraints.txt").write_text("tiny==9.0\n")
    for part in PARTS:
        (tmp_path / part).mkdir()
    return tmp_path
