"""What `optimize` does to a graph: fold batch norms, then the form, then the precision, each as far as it can."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import onnx_ir

from ganport_export import passes
from ganport_export.errors import ExportError, QuantizeError
from ganport_export.forms import FORMS
from ganport_export.observer import Observer
from ganport_export.optimize.feeds import Feeds
from ganport_export.optimize.opset import with_opset
from ganport_export.passes.inspect_nodes import is_operator, label
from ganport_export.quantize import quantize

__all__ = ["Transforms"]

OPSET_OF_INT8 = 13  # scales for each channel
MARGIN_DB = 1.0  # over the floor: other inputs than the held-out ones decide in the end
TARGET_DB = 40.0  # of int8 where the floor is low: layers go back to float until it is reached
LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
KEEP = "nothing was written: choose another --precision, --kind or --form"


@dataclass
class Transforms:
    """What is wanted of a graph, and what became of it.

    Attributes:
        form: one of `forms.FORMS`.
        precision: fp32, fp16 or int8.
        kind: of int8.
        min_psnr_db: what int8 has to reach, with a margin.
        observer: told of each node that stays as it is, and why.
        treated: how many nodes of which sort were changed.
        form_changed: whether the form changed any node at all.
        quantization: how the int8 graph came about.
    """

    form: str
    precision: str
    kind: str
    min_psnr_db: float
    observer: Observer
    treated: dict[str, int] = field(default_factory=dict)
    form_changed: bool = False
    quantization: Mapping[str, Any] | None = None

    @property
    def changed(self) -> bool:
        """Whether the graph is another one now."""
        return self.form_changed or any(self.treated.values())

    def apply(self, model: onnx_ir.Model, feeds: Feeds) -> onnx_ir.Model:
        """The graph as wanted, as far as it can be; the one that is given is used up.

        Raises:
            QuantizeError: int8 is wanted, and no layer would be in it.
            ExportError: fp16 is wanted, and no product would be in it.
        """
        self._fold(model)
        self._to_form(model)
        if self.precision == "fp16":
            self._say(passes.to_half(model, feeds.calibration))
            self.treated["nodes_in_float16"] = sum(map(_makes_half, model.graph))
            if not any(is_operator(node, *LAYERS) and _makes_half(node) for node in model.graph):
                raise ExportError(
                    f"no {', '.join(LAYERS)} would compute in float16, so that nothing gets faster; {KEEP}"
                )
        return self._quantize(model, feeds) if self.precision == "int8" else model

    def _fold(self, model: onnx_ir.Model) -> None:
        norms = _count(model, "BatchNormalization")
        if norms:
            self._say(passes.fold_batch_norm(model))
            self.treated["batch_norms_folded"] = norms - _count(model, "BatchNormalization")

    def _to_form(self, model: onnx_ir.Model) -> None:
        change = FORMS[self.form].change
        if change is None:
            return
        deconvolutions, before = _count(model, "ConvTranspose"), _operators(model)
        if not deconvolutions:
            self.observer("the graph holds no transposed convolution outside of subgraphs")
        self._say(change(model))
        self.treated["transposed_convolutions_replaced"] = deconvolutions - _count(model, "ConvTranspose")
        self.form_changed = _operators(model) != before

    def _quantize(self, model: onnx_ir.Model, feeds: Feeds) -> onnx_ir.Model:
        target_db = max(TARGET_DB, self.min_psnr_db + MARGIN_DB)
        sets = {"calibration": feeds.calibration, "held_out": feeds.held_out}
        try:
            made = quantize(with_opset(model, OPSET_OF_INT8, self.observer), self.kind, target_db=target_db, **sets)
        except QuantizeError as error:
            raise QuantizeError(f"{error}; {KEEP}") from error
        layers = [node for node in made.model.graph if is_operator(node, *LAYERS)]
        for node in layers:
            if not _is_int8(node):
                measured = node.name in made.kept_float
                reason = "int8 made too large an error there" if measured else f"{self.kind} does not treat such a one"
                self.observer(f"{node.op_type} {label(node)!r} stays in float: {reason}")
        self.treated["layers_in_int8"] = sum(map(_is_int8, layers))
        if not self.treated["layers_in_int8"]:
            raise QuantizeError(
                f"every layer would stay in float to reach {target_db:g} dB; {KEEP}, or a lower --min-psnr"
            )
        self.quantization = made.to_json()
        return made.model

    def _say(self, lines: tuple[object, ...]) -> None:
        for line in lines:
            self.observer(str(line))


def _count(model: onnx_ir.Model, op_type: str) -> int:
    return sum(is_operator(node, op_type) for node in model.graph)


def _operators(model: onnx_ir.Model) -> Counter[str]:
    return Counter(node.op_type for node in model.graph)


def _makes_half(node: onnx_ir.Node) -> bool:
    """Whether a node computes in float16; a cast between two types computes nothing."""
    return node.op_type != "Cast" and any(value.dtype == onnx_ir.DataType.FLOAT16 for value in node.outputs)


def _is_int8(layer: onnx_ir.Node) -> bool:
    weight = layer.inputs[1]
    producer = None if weight is None else weight.producer()
    return producer is not None and is_operator(producer, "DequantizeLinear")
