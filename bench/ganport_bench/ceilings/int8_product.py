"""An ONNX graph of one integer matrix product, in the explicit form that engines run on their int8 units."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["INPUT", "Shape", "int8_product"]

Shape = tuple[int, int, int]  # rows of the left factor, what is summed over, columns of the right one

INPUT, OUTPUT = "left", "product"
OPSET, IR_VERSION = 18, 10
SCALE = 0.5  # of both factors
LARGEST = 100  # of the factors' values


def int8_product(shape: Shape, left: str) -> tuple[bytes, npt.NDArray[Any], npt.NDArray[Any]]:
    """A product of an int8 or uint8 matrix with a constant int8 one, rescaled to the left one's own type.

    An integer result is a quarter of the memory to write, which is how layers follow each other in an int8 network.

    Args:
        shape: of the product.
        left: `int8` or `uint8`, the type of what comes in and goes out.

    Returns:
        The model, a left factor, and what it must give, give or take one.
    """
    random = np.random.default_rng(1)
    low = 0 if left == "uint8" else -LARGEST
    rows, depth, columns = shape
    factor = random.integers(low, LARGEST + 1, (rows, depth)).astype(left)
    weight = random.integers(-LARGEST, LARGEST + 1, (depth, columns)).astype(np.int8)
    exact = (factor.astype(np.float32) @ weight.astype(np.float32)).astype(np.float64) * SCALE**2
    zero = 128 if left == "uint8" else 0
    scale = float(np.abs(exact).max()) / 127
    limits = np.iinfo(left)
    wanted = np.clip(np.round(exact / np.float32(scale)) + zero, limits.min, limits.max).astype(np.int32)
    return _model(rows, left, weight, np.float32(scale), zero), factor, wanted


def _model(rows: int, left: str, weight: npt.NDArray[np.int8], scale: np.float32, zero: int) -> bytes:
    constants = {
        "weight": weight,
        "scale": np.float32(SCALE),
        "zero": np.zeros((), left),
        "weight_zero": np.int8(0),
        "product_scale": scale,
        "product_zero": np.array(zero, left),
    }
    nodes = [
        helper.make_node("DequantizeLinear", [INPUT, "scale", "zero"], ["left_values"]),
        helper.make_node("DequantizeLinear", ["weight", "scale", "weight_zero"], ["weight_values"]),
        helper.make_node("MatMul", ["left_values", "weight_values"], ["values"]),
        helper.make_node("QuantizeLinear", ["values", "product_scale", "product_zero"], [OUTPUT]),
    ]
    kind = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}[left]
    graph = helper.make_graph(
        nodes,
        "int8_product",
        [helper.make_tensor_value_info(INPUT, kind, [rows, weight.shape[0]])],
        [helper.make_tensor_value_info(OUTPUT, kind, [rows, weight.shape[1]])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data
