"""Reads a ConvTranspose node of stride 2, and splits it into four ordinary convolutions, its phases.

Along one axis, input i and kernel tap k of a transposed convolution of stride 2 meet in output 2 i + k - begin. Outputs
of one parity p, numbered j = 2 m + p, thus see the taps of one parity alone, k = first + 2 t with
first = (p + begin) mod 2, and input m + shift - t with shift = floor((p + begin) / 2): an ordinary convolution
whose kernel is those taps in reverse. Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016),
chapter 4, has the transposed convolution; Shi et al., "Is the deconvolution layer the same as a convolutional layer?"
(2016), the equivalence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir

from ganport_export.passes.graph_view import constant_array


@dataclass(frozen=True)
class Axis:
    """A transposed convolution of stride 2 and no dilation, seen along one axis."""

    kernel: int
    begin: int  # outputs that its padding leaves out at the start, 0 or more
    end: int  # outputs that its padding leaves out at the end, 0 or more
    output_padding: int = 0  # outputs added at the end

    @property
    def excess(self) -> int:
        """What the output has more than twice the input: 2 * input + excess is its size."""
        return self.kernel - 2 + self.output_padding - self.begin - self.end

    @property
    def odd(self) -> bool:
        """Whether the output's size is odd, so that odd positions are one fewer than even ones."""
        return self.excess % 2 == 1


@dataclass(frozen=True)
class AxisPhase:
    """The ordinary convolution that makes the outputs of one parity along one axis.

    Both parities make ceil(output / 2) values; of an odd output the last one of parity 1 is past its end.
    """

    taps: tuple[int, ...]  # of the kernel, in the order in which the convolution applies them; there may be none
    before: int  # zeros that the input needs before it; below zero, inputs that it leaves out
    after: int  # the same after it

    @property
    def left_out(self) -> int:
        """How many inputs it does not read, before and after those that it does."""
        return -min(self.before, 0) - min(self.after, 0)


def axis_phase(axis: Axis, parity: int) -> AxisPhase:
    """The convolution of one parity, 0 or 1."""
    shift, first = divmod(parity + axis.begin, 2)
    taps = tuple(range(first, axis.kernel, 2))[::-1]
    half_excess = -(-axis.excess // 2)  # rounded up
    return AxisPhase(taps, before=len(taps) - 1 - shift, after=half_excess + shift)


def phase_kernel(
    weight: npt.NDArray[Any], groups: int, rows: Sequence[int], columns: Sequence[int]
) -> npt.NDArray[Any]:
    """An ordinary convolution's weights [out, in / groups, rows, columns] from a transposed one's taps."""
    inputs, outputs = weight.shape[:2]
    taken = weight[:, :, list(rows)][:, :, :, list(columns)]
    grouped = taken.reshape(groups, inputs // groups, outputs, len(rows), len(columns))
    swapped = grouped.swapaxes(1, 2).reshape(groups * outputs, inputs // groups, len(rows), len(columns))
    return np.ascontiguousarray(swapped)


RANK = 4  # of the weights of a convolution over height and width


class LeftError(Exception):
    """Why a node has to stay as it is."""


@dataclass(frozen=True)
class TransposedConvolution:
    """A transposed convolution of stride 2 in both directions with constant weights."""

    weight: npt.NDArray[Any]  # [in, out / groups, height, width]
    groups: int  # of its channels
    height: Axis
    width: Axis

    @property
    def channels(self) -> int:
        """Output channels."""
        return self.groups * int(self.weight.shape[1])


def read_transposed_convolution(node: onnx_ir.Node) -> TransposedConvolution:
    """The layer of a ConvTranspose node."""
    weight = constant_array(node.inputs[1])
    if weight is None:
        raise LeftError("its weights are computed, not constant")
    if weight.ndim != RANK:
        raise LeftError(f"it is {weight.ndim - 2}-D, not 2-D")
    strides, dilations = _integers(node, "strides", (1, 1)), _integers(node, "dilations", (1, 1))
    if strides != (2, 2):
        raise LeftError(f"its stride is {list(strides)}, not 2 in both directions")
    if dilations != (1, 1):
        raise LeftError(f"it is dilated by {list(dilations)}")
    groups = node.attributes.get_int("group", 1)
    if weight.shape[0] % groups:
        raise LeftError(f"its {weight.shape[0]} input channels do not divide into {groups} groups")
    height, width = (_axis(node, index, int(weight.shape[2 + index])) for index in (0, 1))
    return TransposedConvolution(weight, groups, height, width)


def _axis(node: onnx_ir.Node, index: int, kernel: int) -> Axis:
    """The layer along its height (0) or width (1), with every way to write its padding resolved."""
    output_padding = _integers(node, "output_padding", (0, 0))[index]
    pads = _integers(node, "pads", (0, 0, 0, 0))
    auto_pad = node.attributes.get_string("auto_pad", "NOTSET")
    size = _input_size(node, index)
    if "output_shape" in node.attributes:  # takes the place of pads
        begin, end = _split(_cropped_by_output_shape(node, index, kernel + output_padding, size), auto_pad)
    elif auto_pad.startswith("SAME"):  # the output is twice the input
        begin, end = _split(kernel - 2 + output_padding, auto_pad)
    elif auto_pad == "VALID":
        begin, end = 0, 0
    else:
        begin, end = pads[index], pads[index + 2]
    axis = Axis(kernel, begin, end, output_padding)
    _check(axis, size)
    return axis


def _cropped_by_output_shape(node: onnx_ir.Node, index: int, taps: int, size: int | None) -> int:
    if size is None:
        raise LeftError("it fixes its output's size, and its input's is known only as it runs")
    wanted: tuple[int, ...] = _integers(node, "output_shape", ())
    return 2 * (size - 1) + taps - wanted[index - 2]


def _split(cropped: int, auto_pad: str) -> tuple[int, int]:
    """How many outputs are left out at the start and at the end; an odd one more at the end for SAME_UPPER alone."""
    if cropped < 0:
        raise LeftError("it wants a larger output than its kernel makes, which engines fill differently")
    less, more = cropped // 2, cropped - cropped // 2
    return (less, more) if auto_pad == "SAME_UPPER" else (more, less)


def _check(axis: Axis, size: int | None) -> None:
    if min(axis.begin, axis.end) < 0:
        raise LeftError("its padding is negative")
    if size is not None and 2 * size + axis.excess < 1:
        raise LeftError("its padding leaves no output")
    phases = [axis_phase(axis, parity) for parity in (0, 1)]
    if size is not None and any(phase.taps and phase.left_out >= size for phase in phases):
        raise LeftError("its padding leaves out everything that its input makes")


def _integers(node: onnx_ir.Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(node.attributes.get_ints(name, default))


def _input_size(node: onnx_ir.Node, index: int) -> int | None:
    data = node.inputs[0]
    if data is None or data.shape is None or len(data.shape) != RANK:
        return None
    size = data.shape[index + 2]
    return size if isinstance(size, int) else None
