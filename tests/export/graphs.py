"""Small ONNX graphs made by hand, and what they compute."""

from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir
from ganport_runtime.backends import load_backend
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from tests.support.bundles import SOME_GRAPH

Array = NDArray[np.float32]


def model_of(
    nodes: list[onnx.NodeProto], constants: Mapping[str, NDArray[np.generic]], x: tuple[int, ...]
) -> onnx_ir.Model:
    """A model from `x` (its sizes without the batch) to `y`."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *x])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return onnx_ir.serde.deserialize_model(proto)


def run(model: onnx_ir.Model, x: Array) -> Array:
    """By ONNX Runtime: ONNX's own reference gets a grouped ConvTranspose wrong."""
    data = onnx_ir.serde.serialize_model(model).SerializeToString()
    session = load_backend("onnxruntime").open(data, entry=SOME_GRAPH, device="cpu", threads=1)
    return session.run(("y",), {"x": x})[0]


def run_by_reference(model: onnx_ir.Model, x: Array) -> Array:
    """By ONNX's own reference, which knows a batch norm in training mode."""
    (y,) = ReferenceEvaluator(onnx_ir.serde.serialize_model(model)).run(None, {"x": x})
    return np.asarray(y)


def norm(x: str, y: str, name: str = "norm", epsilon: float = 1e-5) -> onnx.NodeProto:
    return helper.make_node(
        "BatchNormalization", [x, *(f"{name}.{part}" for part in "abmv")], [y], name=name, epsilon=epsilon
    )


def statistics(channels: int, random: np.random.Generator, name: str = "norm") -> dict[str, NDArray[np.generic]]:
    parts = {"a": (0.5, 2), "b": (-1, 1), "m": (-1, 1), "v": (0.1, 3)}
    return {f"{name}.{part}": random.uniform(*span, channels).astype(np.float32) for part, span in parts.items()}


def operators(model: onnx_ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def weights(random: np.random.Generator, *shape: int) -> Array:
    return random.normal(size=shape).astype(np.float32)
