"""Checks that a network, and the engine built of it, compute in the precision that was asked for: no flag is trusted.

The layers that cost time, convolutions and matrix products, are counted by precision in both.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganport_runtime.backends import cuda

from ganport_export.engines.libraries import Library, PrecisionError, UnsupportedPrecisionError
from ganport_export.errors import ExportError

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


# TensorRT-RTX engines hold their programs, one a profile, as text. It is not a documented format, but evidence that no
# driver is needed for, of the engine and not of what was asked for. Where it is not found, nothing is concluded from
# that. Found in engines of 1.7.
START = b"header {\n"
END = b"\0"
TEXT_KINDS = {"corrltn": CONVOLUTION, "deconvolution": DECONVOLUTION, "fully_connected": MATRIX_PRODUCT}
TEXT_PRECISIONS = {"float": "fp32", "half": "fp16", "bfloat16": "bf16", "int8": "int8"}

TENSOR = re.compile(r'tensor=\{.*? name="([^"]*)".*? type=(\w+)')
PRODUCT = re.compile(rf'^\s*({"|".join(TEXT_KINDS)})=\{{ name=.*? input=\{{"([^"]*)"', re.MULTILINE)
TARGETS = re.compile(r"accelerators=\{([^}*]*)\}")
TF32 = re.compile(r"\btf32=(\d)")


@dataclass(frozen=True)
class Programs:
    """What the programs of an engine say, all profiles together."""

    products: Products  # their products; the precision is that of the data that a product reads
    compute_capabilities: frozenset[str]  # what they were compiled for, such as `8.6`
    tf32: bool  # whether float32 products may be rounded to TF32


def read_programs(engine: bytes) -> Programs | None:
    """The programs in an engine, or None where none is found."""
    texts = list(_texts(engine))
    if not texts:
        return None
    targets = {name for text in texts for targets in TARGETS.findall(text) for name in targets.split()}
    return Programs(
        products=sum((_products_in(text) for text in texts), Counter()),
        compute_capabilities=frozenset(str(re.sub(r"sm(\d+)(\d)$", r"\1.\2", name)) for name in targets),
        tf32=any(flag != "0" for text in texts for flag in TF32.findall(text)),
    )


def _texts(engine: bytes) -> Iterator[str]:
    start = engine.find(START)
    while start >= 0:
        end = engine.find(END, start)
        yield engine[start : end if end >= 0 else None].decode("latin-1")
        start = engine.find(START, start + len(START))


def _products_in(text: str) -> Counter[tuple[str, str]]:
    types: dict[str, str] = dict(TENSOR.findall(text))
    read = ((TEXT_KINDS[kind], types.get(tensor, "unknown")) for kind, tensor in PRODUCT.findall(text))
    return Counter((kind, TEXT_PRECISIONS.get(data, data)) for kind, data in read)


# TensorRT's own inspector says the same of an engine that it has loaded, for which it needs a GPU.
LAYER_KINDS = {
    re.compile("deconv", re.IGNORECASE): DECONVOLUTION,
    re.compile("conv|correlation", re.IGNORECASE): CONVOLUTION,
    re.compile("gemm|matmul|matrix_?multiply|fully_?connected", re.IGNORECASE): MATRIX_PRODUCT,
}  # in this order, as a deconvolution is called a convolution too
FORMAT_PRECISIONS = {
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
    layers = [layer for layer in layers if isinstance(layer, dict)]
    kinds = (_first(LAYER_KINDS, [str(layer.get("LayerType", ""))]) for layer in layers)
    found = zip(kinds, map(_inspected_precision, layers), strict=True)
    return Counter((kind, precision) for kind, precision in found if kind and precision)


def _inspected_precision(layer: Mapping[str, Any]) -> str:
    inputs = layer.get("Inputs") or [{}]
    return _first(FORMAT_PRECISIONS, [str(inputs[0][key]) for key in TYPES if key in inputs[0]])


def _first(meanings: Mapping[re.Pattern[str], str], texts: Iterable[str]) -> str:
    found = (meaning for text in texts for pattern, meaning in meanings.items() if pattern.search(text))
    return next(found, "")


def check_network(name: str, asked: str, products: Products) -> None:
    """Raise `PrecisionError` for a graph that is not what its name says.

    An fp16 graph may keep products in fp32, and an int8 graph in both; one that has none of its own is mislabeled.
    """
    found = precisions(products)
    allowed = {"fp32": {"fp32"}, "fp16": {"fp16", "fp32"}, "int8": {"int8", "fp16", "fp32"}}[asked]
    if asked not in found or not found <= allowed:
        raise PrecisionError(f"{name} is called {asked} and its graph has {_said(products)}; export the graph again")


def read_back(engine: bytes, library: Library, log: Any, *, tf32: bool, capabilities: Sequence[str]) -> Products | None:
    """The products of a built engine by its own text or by the inspector, or None where neither can be read."""
    programs = read_programs(engine) if library.builds_ahead else None
    if programs is None:
        return inspect(engine, library, log) or None
    if programs.tf32 and not tf32:
        raise PrecisionError(f"{library} built an engine that rounds float32 to TF32, which was switched off")
    named = {name for name in capabilities if not name.endswith("+")}
    if named and programs.compute_capabilities != named:
        built = ", ".join(sorted(programs.compute_capabilities))
        raise ExportError(f"{library} was to build for {', '.join(capabilities)} and built for {built}")
    return programs.products or None


def check_engine(
    name: str, asked: str, library: Library, network: Products, engine: Products | None, programs: int | None = None
) -> tuple[Products, str]:
    """Compare an engine with the network that it was built of, which `check_network` has passed."""
    if engine is None:
        return network, "network"
    lost = _lost(asked, network, engine, programs)
    if asked == "int8" and lost:
        raise UnsupportedPrecisionError(
            f"no engine of {name}: {library} has no int8 kernel for its {', '.join(lost)} and would run "
            f"{_said(engine)} where the graph has {_said(network)}; "
            "the form phase is made of convolutions, which run in int8"
        )
    if lost or asked not in precisions(engine) or (asked != "int8" and engine.keys() - network.keys()):
        raise PrecisionError(
            f"{name} was to be {asked}, its graph has {_said(network)}; {library} built {_said(engine)}"
        )
    return engine, "engine"


def _lost(asked: str, network: Products, engine: Products, programs: int | None) -> list[str]:
    """The kinds of which more run in other precisions than asked for than in the network.

    An engine may hold fewer products of a kind, since some are merged, but never more of another precision.
    """
    wanted, found = _by_kind(network), _by_kind(engine)
    times = programs or max((math.ceil(found[kind] / count) for kind, count in wanted.items()), default=1)
    allowed, others = _by_kind(network, but=asked), _by_kind(engine, but=asked)
    return sorted(kind for kind in wanted if others[kind] > allowed[kind] * times)


def _by_kind(products: Products, but: str | None = None) -> Counter[str]:
    """How many products there are of each kind, those of one precision left out."""
    counts: Counter[str] = Counter()
    for (kind, precision), count in products.items():
        counts[kind] += 0 if precision == but else count
    return counts


def _said(products: Products) -> str:
    return ", ".join(f"{count} {layer}" for layer, count in shown(products).items()) or "no product of any precision"
