"""The form `fused`: what the engines of CPUs turn into one kernel stands side by side, and what is left moves bytes.

Wide transposed convolutions become four phases, narrow ones one sub-pixel convolution; activations come before the
interleaving, and the pixels are rounded before it too. Not for TensorRT, which quantizes to int8 alone.
"""

import onnx_ir

from ganport_export.passes.activation_before_interleave import activation_before_interleave
from ganport_export.passes.activation_before_reshape import activation_before_reshape
from ganport_export.passes.own_biases import own_biases
from ganport_export.passes.pixels_in_uint8 import pixels_in_uint8
from ganport_export.passes.to_phase import to_phase
from ganport_export.passes.to_subpixel import to_subpixel

__all__ = ["to_fused"]


def to_fused(model: onnx_ir.Model) -> tuple[str, ...]:
    """Put a generator's graph into this form, in place; what it computes stays, up to rounding.

    Returns:
        One line for each node that stays as it is, with the reason.
    """
    to_subpixel(model)
    left = to_phase(model)
    as_before = pixels_in_uint8(model)  # first: it looks for the last activation where the network has it
    after = activation_before_interleave(model)
    activation_before_reshape(model)
    own_biases(model)
    return (*left, *as_before, *after)
