"""Makes an int8 graph of a float32 one: ranges by calibration, their method and what stays in float by measurement."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir
from ganport_runtime.differences import psnr_db
from onnx_ir.passes import common

from ganport_export.errors import ExportError, QuantizeError
from ganport_export.graph import to_bytes
from ganport_export.inputs import Feed
from ganport_export.passes.name_plainly import name_plainly
from ganport_export.quantize.placement import RECIPES, Recipe, layers_of, place, write_pairs
from ganport_export.quantize.ranges import METHODS, Histogram, Scale, histograms
from ganport_export.quantize.sensitivity import Step, blocks_of, keep_sensitive
from ganport_export.session import OnnxSession, Range

PEAK = 255.0  # of pixels


class _ErrorMeter:
    """Compares graphs with one reference, on feeds that nothing else is decided on."""

    def __init__(self, reference: onnx_ir.Model, feeds: Sequence[Feed]) -> None:
        self._feeds = feeds
        self._wanted = _outputs(reference, feeds)
        outputs = [output for batch in self._wanted for output in batch]
        if not all(np.isfinite(output).all() for output in outputs):
            raise ExportError("int8 cannot be measured: the graph gives NaN or infinity in float32 already")
        self._peak = PEAK
        if any(output.dtype != np.uint8 for output in outputs):
            self._peak = float(max(output.max() for output in outputs) - min(output.min() for output in outputs))
        if not self._peak > 0:
            raise ExportError("int8 cannot be measured: the graph gives one value, whatever its inputs are")

    def psnr_db(self, model: onnx_ir.Model) -> float:
        """PSNR over all values together, at most 100 dB: a bad image weighs more than in a mean of the images' own."""
        squares, values = 0.0, 0
        for wanted, made in zip(self._wanted, _outputs(model, self._feeds), strict=True):
            for w, m in zip(wanted, made, strict=True):
                squares += float(np.square(np.subtract(w, m, dtype=np.float64)).sum())
                values += w.size
        return float(psnr_db(squares / values, self._peak))


def _outputs(model: onnx_ir.Model, feeds: Sequence[Feed]) -> list[list[npt.NDArray[Any]]]:
    session = OnnxSession(to_bytes(model))
    return [list(session(feed).values()) for feed in feeds]


@dataclass(frozen=True)
class Quantized:
    """An int8 graph and how it came about."""

    model: onnx_ir.Model  # the graph, with plain names, which `kept_float` refers to
    kind: str
    range_method: str  # how ranges were taken from what calibration saw
    tried: Mapping[str, float]  # the PSNR in dB with every method, all layers in int8
    steps: tuple[Step, ...]
    psnr_db: float  # of the graph on the held-out inputs, over all values together
    target_db: float  # what was wanted of it

    @property
    def kept_float(self) -> tuple[str, ...]:
        """Names of the layers that are computed in float."""
        return tuple(name for step in self.steps for name in step.block.layers)

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return {
            "kind": self.kind,
            "range_method": self.range_method,
            "tried": {name: round(psnr_db, 2) for name, psnr_db in self.tried.items()},
            "kept_float": list(self.kept_float),
            "kept_float_steps": [step.to_json() for step in self.steps],
            "psnr_db": round(self.psnr_db, 2),
            "target_psnr_db": self.target_db,
        }


def quantize(
    model: onnx_ir.Model, kind: str, *, calibration: Sequence[Feed], held_out: Sequence[Feed], target_db: float
) -> Quantized:
    """Quantize a graph, which stays as it is."""
    recipe = RECIPES[kind]
    original = model.clone()
    name_plainly(original)
    layers = layers_of(original, recipe)
    if not layers:
        wanted = ", ".join(sorted(recipe.layers))
        raise QuantizeError(f"{kind} quantizes {wanted} with constant weights, and the graph has none")
    search = _Search(original, recipe, calibration, held_out)
    tried = {method: search.psnr_db(method) for method in METHODS}
    best = max(tried, key=tried.__getitem__)
    steps = keep_sensitive(lambda kept: search.psnr_db(best, kept), blocks_of(original, layers), tried[best], target_db)
    kept = [name for step in steps for name in step.block.layers]
    psnr_db = steps[-1].psnr_db if steps else tried[best]
    return Quantized(search.quantized(best, kept), kind, best, tried, steps, psnr_db, target_db)


class _Search:
    """Quantizes one graph in the ways that are to be compared, and measures each."""

    def __init__(
        self, model: onnx_ir.Model, recipe: Recipe, calibration: Sequence[Feed], held_out: Sequence[Feed]
    ) -> None:
        self._model, self._recipe = model, recipe
        self._meter = _ErrorMeter(model, held_out)
        ends = [name for group in place(model, recipe).groups for name in group.ends]
        seen = histograms(model, ends, calibration)
        self._scales = {method: self._scales_by(method, seen) for method in METHODS}

    def quantized(self, method: str, kept_float: Collection[str] = ()) -> onnx_ir.Model:
        """The graph with ranges chosen by a method and some layers kept in float."""
        copy = self._model.clone()
        write_pairs(copy, self._recipe, place(self._model, self._recipe, kept_float), self._scales[method])
        common.RemoveUnusedNodesPass()(copy)  # and the float weights, which nothing reads any more
        name_plainly(copy)
        return copy

    def psnr_db(self, method: str, kept_float: Collection[str] = ()) -> float:
        """What `_ErrorMeter` measures of it."""
        return self._meter.psnr_db(self.quantized(method, kept_float))

    def _scales_by(self, method: str, seen: Mapping[str, Histogram]) -> Mapping[str, Scale]:
        codes = self._recipe.codes
        scales: dict[str, Scale] = {}
        for group in place(self._model, self._recipe).groups:
            span = reduce(Range.joined, (METHODS[method](seen[end], codes) for end in group.ends))
            scales.update(dict.fromkeys(group.values, codes.scale(span)))
        return scales
