"""What graphs are run on: a generator's inputs by name, drawn by seed, or read from a file for anyone's graph.

What a generator takes beside its latents has its place in `GeneratorInputs`; everything else hands feeds on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir
from ganport_runtime.latents import latents
from onnx_ir import DataType

from ganport_export.errors import ExportError

Feed = Mapping[str, npt.NDArray[Any]]
"""A graph's inputs by name, for one batch."""

Floats = npt.NDArray[np.float32]

# Each purpose has its own seed, so that no graph is measured on latents that it was fitted to.
SAMPLES_SEED = 0  # samples.png: `ganport generate --seed 0` makes the same
MODULE_CHECK_SEED = 1000  # whether a user's module is a generator at all
PARITY_SEEDS = (1001, 1002, 1003)  # graphs against the network in float64
CALIBRATION_SEED = 1101  # ranges of values, for int8 and fp16
HELD_OUT_SEED = 1102  # choices by measured image error
FIDELITY_SEED = 1103  # the manifest's figures of a variant, and its comparison image
PROBE_SEED = 1104  # the images that a plan must make before it is used

BATCH = 16  # inputs in a batch of calibration, which keeps every value inside a graph
DRAWN = 128  # latents for each purpose of anyone's graph
CALIBRATION_IMAGES, HELD_OUT_IMAGES = 256, 128  # of 64x64 pixels; of larger ones fewer hold as many values
LEAST_SHARE = 4  # but never fewer than a quarter


@dataclass(frozen=True)
class GeneratorInputs:
    """The inputs of a generator that is exported: `z` float32 [n, latent_dim]."""

    latent_dim: int

    def draw(self, seed: int, count: int, start: int = 0) -> Feed:
        """Inputs `start` to `start + count` of a seed."""
        return {"z": latents(seed, start, count, self.latent_dim)}

    def batches(self, seed: int, count: int, size: int) -> list[Feed]:
        """The first `count` inputs of a seed, `size` at a time."""
        return [self.draw(seed, min(size, count - start), start) for start in range(0, count, size)]

    def feeds(self, pixels: int) -> "Feeds":
        """Feeds for calibration and for choices, fewer for images of more pixels."""
        share = min(1.0, max(1 / LEAST_SHARE, 64 * 64 / pixels))
        calibration, held_out = (
            self.batches(seed, math.ceil(round(count * share) / BATCH) * BATCH, BATCH)
            for seed, count in ((CALIBRATION_SEED, CALIBRATION_IMAGES), (HELD_OUT_SEED, HELD_OUT_IMAGES))
        )
        return Feeds(calibration, held_out, measured=(), source="latents N(0, 1)")


def rows_of(feed: Feed) -> int:
    """How many inputs are in a feed."""
    return len(next(iter(feed.values())))


def first_rows(feed: Feed, count: int) -> Feed:
    """The first `count` inputs of a feed."""
    return {name: array[:count] for name, array in feed.items()}


@dataclass(frozen=True)
class Feeds:
    """Inputs for each purpose: ranges, choices, and the figures that are reported."""

    calibration: Sequence[Feed]  # show how large values become
    held_out: Sequence[Feed]  # decide between ways to quantize
    measured: Sequence[Feed]  # what a result is compared on
    source: str
    shared: bool = False  # whether one set serves all three purposes


@dataclass(frozen=True)
class GraphInput:
    """The one input of anyone's graph."""

    name: str
    batch: int | None  # its first size, or None where that is dynamic
    sizes: tuple[int | None, ...]  # the others; None where one is dynamic

    def __str__(self) -> str:
        """Such as `z float32 [batch, 100]`."""
        shown = [self.batch or "batch", *("?" if size is None else size for size in self.sizes)]
        return f"{self.name} float32 [{', '.join(map(str, shown))}]"

    def batches(self, rows: Floats) -> Sequence[Feed]:
        """Rows as feeds; for a fixed batch, the first rows again where the last batch is not full."""
        size = self.batch or BATCH
        if self.batch is not None:
            rows = np.take(rows, range(math.ceil(len(rows) / size) * size), axis=0, mode="wrap")
        return [{self.name: rows[at : at + size]} for at in range(0, len(rows), size)]


def read_input(model: onnx_ir.Model) -> GraphInput:
    """The one input of a graph, which must be float32 [batch, ...]."""
    if len(model.graph.inputs) != 1:
        names = ", ".join(str(value.name) for value in model.graph.inputs) or "none"
        raise ExportError(f"the graph has {len(model.graph.inputs)} inputs ({names}): one is wanted, the latents")
    (value,) = model.graph.inputs
    if value.dtype != DataType.FLOAT or value.shape is None or not len(value.shape):
        sizes = "of any shape" if value.shape is None else f"[{', '.join(map(str, value.shape))}]"
        raise ExportError(f"the input {value.name!r} is {value.dtype} {sizes}: float32 [batch, ...] is wanted")
    batch, *others = (size if isinstance(size, int) else None for size in value.shape)
    return GraphInput(str(value.name), batch, tuple(others))


def drawn_feeds(of: GraphInput) -> Feeds:
    """Latents N(0, 1), three sets of them."""
    fixed = [size for size in of.sizes if size is not None]
    if len(fixed) < len(of.sizes):
        raise ExportError(
            f"the input {of} has sizes beside the batch that are not fixed, so that no latents can be drawn for it: "
            "export it with fixed sizes, or pass --calibration with inputs of the sizes that are meant"
        )
    calibration, held_out, measured = (
        of.batches(latents(seed, 0, DRAWN, math.prod(fixed)).reshape(-1, *fixed))
        for seed in (CALIBRATION_SEED, HELD_OUT_SEED, FIDELITY_SEED)
    )
    return Feeds(calibration, held_out, measured, f"{DRAWN} latents N(0, 1)")


def feeds_of_file(path: Path, of: GraphInput) -> Feeds:
    """The rows of an .npy file, float32 [n, ...]: every third for each purpose, or all for all where they are few."""
    rows = _read_rows(path, of)
    few = len(rows) < 3 * (of.batch or 1)
    calibration, held_out, measured = (of.batches(rows if few else rows[end::3]) for end in range(3))
    return Feeds(calibration, held_out, measured, f"{len(rows)} inputs of {path}", shared=few)


def _read_rows(path: Path, of: GraphInput) -> Floats:
    if not path.is_file():
        raise ExportError(f"{path} is no file: give an .npy file of inputs for {of}")
    try:
        rows: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ExportError(f"{path} cannot be read as an .npy file ({error}): save inputs with numpy.save") from error
    if isinstance(rows, Mapping):
        raise ExportError(f"{path} holds several arrays: save the inputs alone, as an .npy file")
    fits = rows.ndim == 1 + len(of.sizes) and all(
        wanted in (None, size) for wanted, size in zip(of.sizes, rows.shape[1:], strict=True)
    )
    if rows.dtype != np.float32 or not fits or not rows.size:
        raise ExportError(f"{path} holds {rows.dtype} {list(rows.shape)}, wanted one input or more for {of}")
    if not np.isfinite(rows).all():
        raise ExportError(f"{path} holds NaN or infinity: no range can be calibrated on it")
    return rows
