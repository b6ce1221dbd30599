"""How far the outputs of one graph are from another's: PSNR for any output, relative to the span of its values."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ganport_runtime.differences import PSNR_LIMIT_DB

from ganport_export.errors import ExportError
from ganport_export.onnx_session import Feed, OnnxSession

__all__ = ["OutputDifference", "Outputs", "compare_outputs", "non_finite", "run_batches"]

PIXEL_PEAK = 255.0

Array = npt.NDArray[Any]
Outputs = Mapping[str, Sequence[Array]]  # of every batch


@dataclass(frozen=True)
class OutputDifference:
    """One output beside the original's.

    Args:
        name: of the output.
        psnr_db_mean: mean of the samples' own peak signal-to-noise ratios, each 100 dB at most.
        psnr_db_worst: the lowest of them.
        largest_difference: of any value.
        peak: what the ratio's signal is: 255 for uint8, else the span of the original's values, highest less lowest.
        samples: how many were compared.
    """

    name: str
    psnr_db_mean: float
    psnr_db_worst: float
    largest_difference: float
    peak: float
    samples: int

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self)

    def __str__(self) -> str:
        """One line."""
        of = "255" if self.peak == PIXEL_PEAK else f"the output's range of {self.peak:.4g}"
        return (
            f"{self.name}: PSNR mean {self.psnr_db_mean:.1f} dB, worst {self.psnr_db_worst:.1f} dB relative to {of}; "
            f"largest difference {self.largest_difference:.4g}, over {self.samples} samples"
        )


def run_batches(session: OnnxSession, feeds: Sequence[Feed]) -> Outputs:
    """Every output of every batch.

    Raises:
        ExportError: an output is not a tensor of numbers.
    """
    made: dict[str, list[Array]] = {}
    for feed in feeds:
        for name, array in session(feed).items():
            if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
                raise ExportError(f"the output {name!r} is no tensor of numbers, so that it cannot be measured")
            made.setdefault(name, []).append(array)
    return made


def non_finite(outputs: Outputs) -> str | None:
    """The name of an output that holds NaN or infinity, or None."""
    return next((name for name, arrays in outputs.items() if not all(np.isfinite(a).all() for a in arrays)), None)


def compare_outputs(original: Outputs, made: Outputs, batch_sizes: Sequence[int]) -> tuple[OutputDifference, ...]:
    """Every output beside the original's.

    Args:
        original: its outputs, batch by batch.
        made: the other graph's for the same inputs.
        batch_sizes: inputs in each batch; an output whose first size is another counts as one sample a batch.

    Raises:
        ExportError: another type or shape.
    """
    return tuple(_compare(name, original[name], made[name], batch_sizes) for name in original)


def _compare(name: str, original: Sequence[Array], made: Sequence[Array], sizes: Sequence[int]) -> OutputDifference:
    peak = _peak(original)
    squares, largest = [], 0.0
    for wanted, array, size in zip(original, made, sizes, strict=True):
        if wanted.dtype != array.dtype or wanted.shape != array.shape:
            shown = f"{array.dtype} {list(array.shape)}, the original's is {wanted.dtype} {list(wanted.shape)}"
            raise ExportError(f"the output {name!r} of the result is {shown}")
        difference = np.abs(array.astype(np.float64) - wanted)
        samples = size if wanted.ndim and len(wanted) == size else 1
        if difference.size:
            squares.append(np.square(difference).reshape(samples, -1).mean(axis=1))
            largest = max(largest, float(difference.max()))
    noise = np.maximum(np.concatenate([*squares, np.zeros(0)]), peak**2 / 10 ** (PSNR_LIMIT_DB / 10))
    psnr_db = 10 * np.log10(peak**2 / noise) if noise.size else np.array([PSNR_LIMIT_DB])
    return OutputDifference(name, float(psnr_db.mean()), float(psnr_db.min()), largest, peak, noise.size)


def _peak(arrays: Sequence[Array]) -> float:
    """The signal of the ratio; of an output that is always one value, that value, or 1 where it is 0."""
    filled = [array for array in arrays if array.size]
    if not filled:
        return 1.0
    if arrays[0].dtype == np.uint8:
        return PIXEL_PEAK
    highest, lowest = (float(max(array.max() for array in filled)), float(min(array.min() for array in filled)))
    return highest - lowest or abs(highest) or 1.0
