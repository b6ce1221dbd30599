"""Measures what quantizing costs: the error of a graph's outputs against those of the graph that it was made from."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir
from ganport_runtime.differences import PSNR_LIMIT_DB

from ganport_export.activations import serialize
from ganport_export.errors import ExportError
from ganport_export.onnx_session import Feed, OnnxSession

__all__ = ["Judge"]

PEAK = 255.0  # of pixels


class Judge:
    """Compares graphs with one reference, on feeds that nothing else is decided on.

    Args:
        reference: the graph in float32.
        feeds: inputs by name, batch by batch.

    Raises:
        ExportError: the reference cannot be run, gives NaN or infinity, or one value alone.
    """

    def __init__(self, reference: onnx_ir.Model, feeds: Sequence[Feed]) -> None:
        self._feeds = feeds
        self._wanted = _run(reference, feeds)
        outputs = [output for batch in self._wanted for output in batch]
        if not all(np.isfinite(output).all() for output in outputs):
            raise ExportError("int8 cannot be measured: the graph gives NaN or infinity in float32 already")
        pixels = all(output.dtype == np.uint8 for output in outputs)
        self._peak = PEAK if pixels else self._spread()

    def psnr_db(self, model: onnx_ir.Model) -> float:
        """Peak signal-to-noise ratio over all values of all images together, in dB, 100 at most.

        Together, not as a mean of the images' own ratios: an image that comes out badly weighs as much as it looks.
        The peak is 255 for pixels, else the spread of the reference's values.
        """
        squares, values = 0.0, 0
        for wanted, made in zip(self._wanted, _run(model, self._feeds), strict=True):
            for w, m in zip(wanted, made, strict=True):
                squares += float(np.square(np.subtract(w, m, dtype=np.float64)).sum())
                values += w.size
        return min(10 * math.log10(self._peak**2 * values / squares), PSNR_LIMIT_DB) if squares else PSNR_LIMIT_DB

    def _spread(self) -> float:
        outputs = [output for batch in self._wanted for output in batch]
        spread = float(max(output.max() for output in outputs) - min(output.min() for output in outputs))
        if not spread > 0:
            raise ExportError("int8 cannot be measured: the graph gives one value, whatever its inputs are")
        return spread


def _run(model: onnx_ir.Model, feeds: Sequence[Feed]) -> list[list[npt.NDArray[Any]]]:
    session = OnnxSession(serialize(model))
    return [list(session(feed).values()) for feed in feeds]
