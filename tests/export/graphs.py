"""Small ONNX graphs made by hand, and what they compute."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir
import torch
from ganport_export.graph import to_bytes
from ganport_export.passes.to_half import to_half
from ganport_export.session import OnnxSession
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

FLOAT, UINT8, DOUBLE = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.DOUBLE
Y = {"y": FLOAT}

Array = NDArray[np.float32]
Doubles = NDArray[np.float64]
Constants = Mapping[str, Any]
node = helper.make_node


def model_of(
    nodes: Sequence[onnx.NodeProto],
    constants: Constants,
    x: Sequence[int | str],
    outputs: Mapping[str, int] = Y,
    x_type: int = FLOAT,
) -> onnx_ir.Model:
    """A model from `x` (its sizes without the batch) to outputs of these types."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("x", x_type, ["batch", *x])],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return onnx_ir.serde.deserialize_model(helper.make_model(graph, opset_imports=imports, ir_version=10))


def run_all(model: onnx_ir.Model, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """By ONNX Runtime: ONNX's own reference gets a grouped ConvTranspose wrong."""
    return OnnxSession(to_bytes(model), threads=1)({"x": x})


def run(model: onnx_ir.Model, x: NDArray[Any]) -> NDArray[Any]:
    return run_all(model, x)["y"]


def run_by_reference(model: onnx_ir.Model, x: NDArray[Any]) -> NDArray[Any]:
    """By ONNX's own reference, which knows float64 and a batch norm in training mode."""
    (y, *_) = ReferenceEvaluator(onnx_ir.serde.serialize_model(model)).run(None, {"x": x})
    return np.asarray(y)


def check(model: onnx_ir.Model) -> None:
    onnx.checker.check_model(onnx_ir.serde.serialize_model(model), full_check=True)


def operators(model: onnx_ir.Model) -> list[str]:
    return [each.op_type for each in model.graph]


def types(model: onnx_ir.Model) -> dict[str, onnx_ir.DataType | None]:
    """The type of every node's first output, by the node's name."""
    return {str(each.name): each.outputs[0].dtype for each in model.graph}


def weights(random: np.random.Generator, *shape: int) -> Array:
    return random.normal(size=shape).astype(np.float32)


def draw(*shape: int, seed: int = 0) -> Array:
    return weights(np.random.default_rng(seed), *shape)


def norm(x: str, y: str, name: str = "norm", epsilon: float = 1e-5) -> onnx.NodeProto:
    return node("BatchNormalization", [x, *(f"{name}.{part}" for part in "abmv")], [y], name=name, epsilon=epsilon)


def statistics(channels: int, random: np.random.Generator, name: str = "norm") -> dict[str, NDArray[np.generic]]:
    parts = {"a": (0.5, 2), "b": (-1, 1), "m": (-1, 1), "v": (0.1, 3)}
    return {f"{name}.{part}": random.uniform(*span, channels).astype(np.float32) for part, span in parts.items()}


def halve(model: onnx_ir.Model, *feeds: NDArray[Any]) -> list[str]:
    """Convert to float16, see that every type in the graph is consistent, and return what was said."""
    kept = to_half(model, [{"x": feed} for feed in feeds], threads=1)
    check(model)
    onnx.shape_inference.infer_shapes(onnx_ir.serde.serialize_model(model), check_type=True, strict_mode=True)
    return [str(line) for line in kept]


def conv_transpose(inputs: Sequence[str] = ("x", "w"), output: str = "y", **attributes: Any) -> onnx.NodeProto:
    """A transposed convolution of stride 2 called `layer`."""
    return node("ConvTranspose", list(inputs), [output], "layer", **{"strides": [2, 2], **attributes})


def transposed(
    x: Doubles, w: Doubles, bias: Doubles | None, groups: int, pads: list[int], padding: list[int]
) -> Doubles:
    """What ONNX defines: PyTorch's transposed convolution without padding, extended and cropped."""
    rows = torch.conv_transpose2d(torch.from_numpy(x), torch.from_numpy(w), stride=2, groups=groups).numpy()
    whole = np.pad(rows, ((0, 0), (0, 0), (0, padding[0]), (0, padding[1])))
    top, left, bottom, right = pads
    cropped = whole[:, :, top : whole.shape[2] - bottom, left : whole.shape[3] - right]
    return cropped if bias is None else cropped + bias[:, np.newaxis, np.newaxis]
