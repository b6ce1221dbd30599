"""Graphs of one transposed convolution from `x` to `y`, called `layer`, and what they compute in float64."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx_ir
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Attributes = Mapping[str, Any]
Doubles = NDArray[np.float64]


def conv_transpose(output: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node("ConvTranspose", ["x", "w"], [output], "layer", **{"strides": [2, 2], **attributes})


def model_of_doubles(node: onnx.NodeProto, constants: dict[str, NDArray[np.generic]], channels: int) -> onnx_ir.Model:
    """One node from float64 `x` to `y`, batch, height and width dynamic."""
    sizes: list[str | int | None] = ["batch", channels, "height", "width"]
    graph = helper.make_graph(
        [node],
        "test",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, sizes)],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["batch", None, None, None])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return onnx_ir.serde.deserialize_model(proto)


def evaluate(model: onnx_ir.Model, x: Doubles) -> Doubles:
    proto = onnx_ir.serde.serialize_model(model)
    onnx.checker.check_model(proto, full_check=True)
    (y,) = ReferenceEvaluator(proto).run(None, {"x": x})
    return np.asarray(y)


def transposed(
    x: Doubles, w: Doubles, bias: Doubles | None, groups: int, pads: list[int], padding: list[int]
) -> Doubles:
    """What ONNX defines: PyTorch's transposed convolution without padding, extended and cropped."""
    rows = torch.conv_transpose2d(torch.from_numpy(x), torch.from_numpy(w), stride=2, groups=groups).numpy()
    whole = np.pad(rows, ((0, 0), (0, 0), (0, padding[0]), (0, padding[1])))
    top, left, bottom, right = pads
    cropped = whole[:, :, top : whole.shape[2] - bottom, left : whole.shape[3] - right]
    return cropped if bias is None else cropped + bias[:, np.newaxis, np.newaxis]
