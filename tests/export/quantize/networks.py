"""Small graphs as generators are made of, for int8, and where ONNX Runtime computes int8 as it is defined."""

from pathlib import Path

import numpy as np
import onnx_ir
import pytest
from ganport_export.inputs import Feed
from ganport_export.passes.name_plainly import name_plainly
from numpy.typing import NDArray

from tests.export.graphs import model_of, node, weights

LATENT_DIM, CHANNELS = 10, 6

CPU = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
exact_int8 = pytest.mark.skipif(
    "avx2" in CPU and "vnni" not in CPU, reason="ONNX Runtime's int8 products saturate on x86 processors without VNNI"
)


def generator(*, activation: str = "Relu", seed: int = 0) -> onnx_ir.Model:
    """x [batch, 10] -> Gemm -> 4x4 -> two transposed convolutions -> Tanh: y [batch, 3, 16, 16]."""
    random = np.random.default_rng(seed)
    constants: dict[str, NDArray[np.generic]] = {
        "w0": weights(random, CHANNELS * 16, LATENT_DIM),
        "b0": weights(random, CHANNELS * 16),
        "planes": np.array([-1, CHANNELS, 4, 4]),
        "w1": weights(random, CHANNELS, 5, 4, 4) / 4,
        "b1": weights(random, 5),
        "w2": weights(random, 5, 3, 4, 4) / 16,
        "b2": weights(random, 3) / 4,
    }
    nodes = [
        node("Gemm", ["x", "w0", "b0"], ["g"], transB=1),
        node("Reshape", ["g", "planes"], ["r"]),
        node(activation, ["r"], ["a0"]),
        node("ConvTranspose", ["a0", "w1", "b1"], ["c1"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node(activation, ["c1"], ["a1"]),
        node("ConvTranspose", ["a1", "w2", "b2"], ["c2"], strides=[2, 2], pads=[1, 1, 1, 1]),
        node("Tanh", ["c2"], ["y"]),
    ]
    model = model_of(nodes, constants, (LATENT_DIM,))
    name_plainly(model)
    return model


def feeds(seed: int, *shape: int, batches: int = 2, batch: int = 32) -> list[Feed]:
    random = np.random.default_rng(seed)
    return [{"x": random.normal(size=(batch, *shape)).astype(np.float32)} for _ in range(batches)]
