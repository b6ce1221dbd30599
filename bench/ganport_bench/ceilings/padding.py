"""How many of a convolution's multiplications matter: neither with a padding's zero nor for what is cropped."""

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import helper

from ganport_bench.ceilings.one_image import Shape

__all__ = ["needed_of_conv", "needed_of_conv_transpose"]


def needed_of_conv(node: onnx.NodeProto, inputs: Shape, outputs: Shape, kernel: Shape) -> int:
    """Pairs of a place of the output and one of the kernel under which there is a value, over all spatial axes.

    Args:
        node: a convolution.
        inputs: its spatial sizes.
        outputs: likewise.
        kernel: likewise.
    """
    return _pairs(node, places=outputs, limits=inputs, kernel=kernel, slack=0)


def needed_of_conv_transpose(node: onnx.NodeProto, inputs: Shape, outputs: Shape, kernel: Shape) -> int:
    """Pairs of a place of the input and one of the kernel that fall on the output, over all spatial axes."""
    return _pairs(node, places=inputs, limits=outputs, kernel=kernel, slack=1)


def _pairs(node: onnx.NodeProto, *, places: Shape, limits: Shape, kernel: Shape, slack: int) -> int:
    """Pairs whose place on the other side, `stride * place + dilation * tap - padding`, is one of `limits`."""
    told = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    count = len(kernel)
    strides, dilations = (told.get(name, [1] * count) for name in ("strides", "dilations"))
    slacks = told.get("output_padding", [0] * count) if slack else [0] * count
    sides = zip(places, limits, kernel, strides, dilations, slacks, range(count), strict=True)
    return prod(
        _pairs_of_axis(size, limit, taps, stride, dilation, _before(told, axis, span + extra - limit))
        for size, limit, taps, stride, dilation, extra, axis in sides
        for span in (stride * (size - 1) + dilation * (taps - 1) + 1,)
    )


def _pairs_of_axis(places: int, limit: int, taps: int, stride: int, dilation: int, before: int) -> int:
    at = stride * np.arange(places)[:, None] + dilation * np.arange(taps) - before
    return int(np.count_nonzero((at >= 0) & (at < limit)))


def _before(told: Mapping[str, Any], axis: int, total: int) -> int:
    """The padding before an axis: given, none, or half of what it takes in all, as ONNX defines each."""
    way = told.get("auto_pad", b"NOTSET").decode()
    if way == "VALID":
        return 0
    if way == "NOTSET" and "output_shape" not in told:
        return int(told.get("pads", [0] * (axis + 1))[axis])
    half = max(total, 0) // 2
    return half if way == "SAME_UPPER" else max(total, 0) - half
