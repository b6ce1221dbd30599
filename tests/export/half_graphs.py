"""Small graphs from `x`, converted to float16 and seen to be well typed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir
from ganport_export.graph import to_bytes
from ganport_export.passes.to_half import to_half
from ganport_export.session import OnnxSession
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx_ir import DataType

FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8
Constants = dict[str, Any]
node = helper.make_node


def model_of(
    nodes: Sequence[onnx.NodeProto],
    constants: Constants,
    x: Sequence[int],
    outputs: Mapping[str, int],
    x_type: int = FLOAT,
) -> onnx_ir.Model:
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("x", x_type, ["batch", *x])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return onnx_ir.serde.deserialize_model(helper.make_model(graph, opset_imports=imports, ir_version=10))


def halve(model: onnx_ir.Model, *feeds: NDArray[Any]) -> list[str]:
    """Convert, see that every type in the graph is consistent, and return what was said."""
    kept = to_half(model, [{"x": feed} for feed in feeds], threads=1)
    proto = onnx_ir.serde.serialize_model(model)
    onnx.checker.check_model(proto, full_check=True)
    onnx.shape_inference.infer_shapes(proto, check_type=True, strict_mode=True)
    return [str(line) for line in kept]


def run(model: onnx_ir.Model, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return OnnxSession(to_bytes(model), threads=1)({"x": x})


def types(model: onnx_ir.Model) -> dict[str, DataType | None]:
    """The type of every node's first output, by the node's name."""
    return {str(each.name): each.outputs[0].dtype for each in model.graph}


def draw(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
