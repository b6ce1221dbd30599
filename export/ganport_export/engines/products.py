"""The layers that cost time, convolutions and matrix products, counted by precision: in a network and in an engine."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ganport_export.engines.libraries import Library

__all__ = ["CONVOLUTION", "DECONVOLUTION", "MATRIX_PRODUCT", "Products", "network_products", "precisions", "shown"]

CONVOLUTION, DECONVOLUTION, MATRIX_PRODUCT = "convolution", "deconvolution", "matrix product"

Products = Mapping[tuple[str, str], int]
"""How many layers there are of a kind and precision, such as {("convolution", "int8"): 8}."""

KINDS = {"CONVOLUTION": CONVOLUTION, "DECONVOLUTION": DECONVOLUTION, "MATRIX_MULTIPLY": MATRIX_PRODUCT}
PRECISIONS = {"FLOAT": "fp32", "HALF": "fp16", "BF16": "bf16", "INT8": "int8"}
MOVES = ("SHUFFLE", "IDENTITY")  # what may stand between a dequantization and the layer that it is for


def network_products(network: Any, library: Library) -> Products:
    """The products of a strongly typed network before it is built.

    A quantized one is a float layer behind dequantizations of both its inputs: that is how ONNX asks for int8.
    """
    kinds = {getattr(library.module.LayerType, name): kind for name, kind in KINDS.items()}
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    makers = {layer.get_output(index).name: layer for layer in layers for index in range(layer.num_outputs)}
    return Counter((kinds[layer.type], _precision(layer, makers)) for layer in layers if layer.type in kinds)


def precisions(products: Products) -> frozenset[str]:
    """Every precision among them."""
    return frozenset(precision for _, precision in products)


def shown(products: Products) -> dict[str, int]:
    """As the manifest holds them: {"convolution/int8": 8}."""
    return {f"{kind}/{precision}": count for (kind, precision), count in sorted(products.items())}


def _precision(layer: Any, makers: Mapping[str, Any]) -> str:
    if layer.num_inputs > 1 and all(_is_dequantized(layer.get_input(index), makers) for index in (0, 1)):
        return "int8"
    kind = str(layer.get_input(0).dtype.name)
    return PRECISIONS.get(kind, kind.lower())


def _is_dequantized(tensor: Any, makers: Mapping[str, Any]) -> bool:
    layer = None if tensor is None else makers.get(tensor.name)
    while layer is not None and layer.type.name in MOVES:
        layer = makers.get(layer.get_input(0).name)
    return layer is not None and layer.type.name == "DEQUANTIZE"
