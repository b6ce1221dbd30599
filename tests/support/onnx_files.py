"""Writes small ONNX files as other people's exporters do: no part of ganport made them."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

__all__ = ["generator_file", "generator_model", "graph_model", "pixel_nodes", "run_file"]

LATENT_DIM = 6


def graph_model(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, Any],
    inputs: Mapping[str, tuple[int, Any]],
    outputs: Mapping[str, tuple[int, Any]],
    *,
    opset: int = 17,
    domains: Sequence[str] = (),
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "someone's",
        [helper.make_tensor_value_info(name, kind, sizes) for name, (kind, sizes) in inputs.items()],
        [helper.make_tensor_value_info(name, kind, sizes) for name, (kind, sizes) in outputs.items()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=7)


def generator_model(*, opset: int = 17, pixels: bool = False, batch: int | str = "batch") -> onnx.ModelProto:
    """A generator of 8x8 images from latents of 6 numbers: dense layer, two transposed convolutions, batch norms."""
    random = np.random.default_rng(0)

    def draw(*shape: int) -> NDArray[np.float32]:
        return random.normal(size=shape).astype(np.float32)

    constants: dict[str, Any] = {
        "w": draw(LATENT_DIM, 32), "b": draw(32), "shape": np.array([-1, 8, 2, 2]),
        "k1": draw(8, 4, 4, 4) / 5, "k2": draw(4, 3, 4, 4) / 9, "bias2": draw(3) / 4,
    }  # fmt: skip
    for name, channels in (("norm1", 8), ("norm2", 4)):
        constants |= {f"{name}.{part}": draw(channels) for part in "abm"}
        constants[f"{name}.v"] = draw(channels) ** 2 + np.float32(0.5)
    nodes = [
        helper.make_node("Gemm", ["z", "w", "b"], ["g"], "dense"),
        helper.make_node("Reshape", ["g", "shape"], ["r"], "reshape"),
        helper.make_node("BatchNormalization", ["r", *(f"norm1.{part}" for part in "abmv")], ["n1"], "norm1"),
        helper.make_node("Relu", ["n1"], ["a1"], "relu1"),
        helper.make_node("ConvTranspose", ["a1", "k1"], ["d1"], "up1", strides=[2, 2], pads=[1] * 4),
        helper.make_node("BatchNormalization", ["d1", *(f"norm2.{part}" for part in "abmv")], ["n2"], "norm2"),
        helper.make_node("Relu", ["n2"], ["a2"], "relu2"),
        helper.make_node("ConvTranspose", ["a2", "k2", "bias2"], ["d2"], "up2", strides=[2, 2], pads=[1] * 4),
        helper.make_node("Tanh", ["d2"], ["t" if pixels else "image"], "tanh"),
    ]
    output = (TensorProto.FLOAT, [batch, 3, 8, 8])
    if pixels:
        nodes += pixel_nodes("t", "image")
        constants |= {"one": np.float32(1), "scale": np.float32(127.5), "low": np.float32(0), "high": np.float32(255)}
        output = (TensorProto.UINT8, [batch, 8, 8, 3])
    inputs = {"z": (TensorProto.FLOAT, [batch, LATENT_DIM])}
    return graph_model(nodes, constants, inputs, {"image": output}, opset=opset)


def pixel_nodes(x: str, y: str) -> list[onnx.NodeProto]:
    """From values in [-1, 1], NCHW, to pixels, NHWC."""
    return [
        helper.make_node("Add", [x, "one"], ["p1"], "add"),
        helper.make_node("Mul", ["p1", "scale"], ["p2"], "mul"),
        helper.make_node("Round", ["p2"], ["p3"], "round"),
        helper.make_node("Clip", ["p3", "low", "high"], ["p4"], "clip"),
        helper.make_node("Transpose", ["p4"], ["p5"], "transpose", perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["p5"], [y], "cast", to=TensorProto.UINT8),
    ]


def generator_file(path: Path, **options: Any) -> Path:
    onnx.save(generator_model(**options), path)
    return path


def run_file(path: Path, feed: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """By ONNX Runtime itself."""
    onnxruntime = import_module("onnxruntime")  # it has no types
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    outputs: list[NDArray[Any]] = session.run(None, dict(feed))
    return outputs
