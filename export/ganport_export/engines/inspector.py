"""Asks TensorRT's own engine inspector what an engine will run; that loads the engine, and so it needs a GPU."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ganport_runtime.backends import cuda

from ganport_export.engines.libraries import Library
from ganport_export.engines.products import CONVOLUTION, DECONVOLUTION, MATRIX_PRODUCT, Products

__all__ = ["inspect", "products_of"]

KINDS = {
    re.compile("deconv", re.IGNORECASE): DECONVOLUTION,
    re.compile("conv|correlation", re.IGNORECASE): CONVOLUTION,
    re.compile("gemm|matmul|matrix_?multiply|fully_?connected", re.IGNORECASE): MATRIX_PRODUCT,
}  # in this order, as a deconvolution is called a convolution too
PRECISIONS = {
    re.compile(r"int8", re.IGNORECASE): "int8",
    re.compile(r"fp16|half", re.IGNORECASE): "fp16",
    re.compile(r"bf16|bfloat", re.IGNORECASE): "bf16",
    re.compile(r"fp32|float", re.IGNORECASE): "fp32",
}
TYPES = ("Format/Datatype", "DataType", "Format")  # the first is TensorRT 10's, which 11 split into the others


def inspect(engine: bytes, library: Library, log: Any) -> Products | None:
    """The products of an engine that was just built here, or None where no driver can load it."""
    if cuda.refusal() is not None:
        return None
    runtime = library.module.Runtime(log)
    runtime.engine_host_code_allowed = True  # nobody else has had these bytes in hand
    loaded = runtime.deserialize_cuda_engine(engine)
    if loaded is None:
        return None
    formats = library.module.LayerInformationFormat
    return products_of(loaded.create_engine_inspector().get_engine_information(formats.JSON))


def products_of(information: str) -> Products:
    """The products in the inspector's JSON text; a layer whose kind or type it does not say is none."""
    layers = json.loads(information).get("Layers", [])
    found = ((_kind(layer), _precision(layer)) for layer in layers if isinstance(layer, dict))
    return Counter((kind, precision) for kind, precision in found if kind and precision)


def _kind(layer: Mapping[str, Any]) -> str:
    return _first(KINDS, [str(layer.get("LayerType", ""))])


def _precision(layer: Mapping[str, Any]) -> str:
    inputs = layer.get("Inputs") or [{}]
    return _first(PRECISIONS, [str(inputs[0][key]) for key in TYPES if key in inputs[0]])


def _first(meanings: Mapping[re.Pattern[str], str], texts: Iterable[str]) -> str:
    """The meaning of the first text that has one, or nothing."""
    found = (meaning for text in texts for pattern, meaning in meanings.items() if pattern.search(text))
    return next(found, "")
