"""The arithmetic of phases, in numpy alone: a transposed convolution of stride 2 is four ordinary convolutions.

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


@dataclass(frozen=True)
class Axis:
    """A transposed convolution of stride 2 and no dilation, seen along one axis.

    Args:
        kernel: its taps.
        begin: outputs that its padding leaves out at the start, 0 or more.
        end: outputs that its padding leaves out at the end, 0 or more.
        output_padding: outputs added at the end.
    """

    kernel: int
    begin: int
    end: int
    output_padding: int = 0

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

    Args:
        taps: which taps of the kernel, in the order in which the convolution applies them; there may be none.
        before: zeros that the input needs before it; below zero, inputs that it leaves out.
        after: the same after it.
    """

    taps: tuple[int, ...]
    before: int
    after: int

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
    """An ordinary convolution's weights [out, in / groups, rows, columns] from a transposed one's taps.

    Args:
        weight: [in, out / groups, height, width] of the transposed convolution.
        groups: of its channels.
        rows: taps along the height, in order.
        columns: taps along the width, in order.
    """
    inputs, outputs = weight.shape[:2]
    taken = weight[:, :, list(rows)][:, :, :, list(columns)]
    grouped = taken.reshape(groups, inputs // groups, outputs, len(rows), len(columns))
    swapped = grouped.swapaxes(1, 2).reshape(groups * outputs, inputs // groups, len(rows), len(columns))
    return np.ascontiguousarray(swapped)
