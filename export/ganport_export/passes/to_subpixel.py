"""Makes one ordinary convolution, interleaved, of each narrow transposed convolution of stride 2.

The four phases of `to_phase` become the channels of one convolution, whose kernel spans the taps of all of them and has
zeros where a phase has none: the sub-pixel convolution of Shi et al., "Real-time single image and video
super-resolution using an efficient sub-pixel convolutional neural network" (2016). The zeros cost work, which pays
where the four phases together fill no more channels than an engine computes at once, as a last layer's 3 colors do:
each phase alone would take as long as all four.
"""

import numpy as np
import numpy.typing as npt
import onnx_ir
from onnx_ir.passes import common

from ganport_export.passes.builder import Builder
from ganport_export.passes.graph_view import constant_array, infer_shapes, is_operator, label, opset_version
from ganport_export.passes.phase_arithmetic import Axis, axis_phase, phase_kernel
from ganport_export.passes.to_phase import OLDEST_OPSET, OPERATOR, PARITIES
from ganport_export.passes.transposed_convolution import LeftError, TransposedConvolution, read_transposed_convolution

AT_ONCE = 16  # channels that a convolution computes together: the float32 numbers in a register of 512 bits


def to_subpixel(model: onnx_ir.Model, widest: int = AT_ONCE) -> None:
    """Replace every ConvTranspose of stride 2 whose four phases have `widest` channels or fewer, in place.

    Exact, up to the order of additions. Others stay, and so do those in groups, of odd output sizes, with a computed
    bias, or whose padding leaves inputs unread: `to_phase`, which comes after it, treats them all.
    """
    infer_shapes(model)
    builder = Builder(model)
    for node in [node for node in model.graph if is_operator(node, OPERATOR)]:
        try:
            layer = read_transposed_convolution(node)
        except LeftError:
            continue
        if len(PARITIES) * layer.channels <= widest and _fits(model, node, layer):
            _replace(node, layer, builder)
    common.RemoveUnusedNodesPass()(model)
    infer_shapes(model)


def _fits(model: onnx_ir.Model, node: onnx_ir.Node, layer: TransposedConvolution) -> bool:
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    plain = layer.groups == 1 and (bias is None or constant_array(bias) is not None)
    spans = [_Span(axis) for axis in (layer.height, layer.width)]
    new_enough = opset_version(model) >= OLDEST_OPSET
    return plain and new_enough and all(span.whole for span in spans)


class _Span:
    """What the convolution reads along one axis: the inputs of both phases."""

    def __init__(self, axis: Axis) -> None:
        self.phases = [axis_phase(axis, parity) for parity in (0, 1)]
        self.before = max(phase.before for phase in self.phases)
        self.after = max(phase.after for phase in self.phases)
        first = self.phases[0]
        growth = first.before + first.after - len(first.taps) + 1  # the same for both phases
        self.kernel = self.before + self.after - growth + 1
        self.whole = not axis.odd and min(self.before, self.after) >= 0 and all(phase.taps for phase in self.phases)

    def places(self, parity: int) -> slice:
        """Where a phase's taps lie in the kernel."""
        phase = self.phases[parity]
        start = self.before - phase.before
        return slice(start, start + len(phase.taps))


def _replace(node: onnx_ir.Node, layer: TransposedConvolution, builder: Builder) -> None:
    name, dtype = label(node), node.outputs[0].dtype
    height, width = _Span(layer.height), _Span(layer.width)
    weight = builder.constant(f"{name}.weight", _kernel(layer, height, width))
    bias = constant_array(node.inputs[2]) if len(node.inputs) > 2 else None
    repeated = None if bias is None else builder.constant(f"{name}.bias", np.tile(bias, len(PARITIES)))
    attributes = {
        "kernel_shape": [height.kernel, width.kernel],
        "pads": [height.before, width.before, height.after, width.after],
    }
    stacked = builder.before(node, "Conv", [node.inputs[0], weight, repeated], f"{name}.phases", attributes, dtype)
    order = {"blocksize": 2, "mode": "DCR"}
    builder.replace(node, builder.before(node, "DepthToSpace", [stacked], f"{name}.interleave", order, dtype))


def _kernel(layer: TransposedConvolution, height: _Span, width: _Span) -> npt.NDArray[np.generic]:
    """[4 * out, in, height, width]: phase after phase, each with its taps in place and zeros around them."""
    inputs = layer.weight.shape[0]
    kernel = np.zeros((len(PARITIES), layer.channels, inputs, height.kernel, width.kernel), layer.weight.dtype)
    for index, (row, column) in enumerate(PARITIES):
        rows, columns = height.phases[row].taps, width.phases[column].taps
        taps = phase_kernel(layer.weight, layer.groups, rows, columns)
        kernel[index, :, :, height.places(row), width.places(column)] = taps
    return kernel.reshape(-1, *kernel.shape[2:])
