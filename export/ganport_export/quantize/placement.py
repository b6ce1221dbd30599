"""Finds which layers run in int8 and which values get a QuantizeLinear pair, and writes the pairs."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir
from onnx_ir import DataType

from ganport_export.passes.builder import Builder
from ganport_export.passes.graph_view import MOVES, computed_inputs, constant_array
from ganport_export.passes.layers import WEIGHT, read_layer
from ganport_export.quantize.ranges import Codes, Scale

UNSIGNED, SIGNED = Codes(0, 255, symmetric=False), Codes(-128, 127, symmetric=True)


@dataclass(frozen=True)
class Recipe:
    """One kind of int8. What a layer in int8 reads always gets a pair."""

    kind: str
    dtype: DataType  # of activations: uint8 with a zero point of its own, or int8 around 0
    layers: frozenset[str]  # operators with constant weights that are to run in int8
    around: frozenset[str]  # operators with pairs around them, where they are such layers or read what those made

    @property
    def codes(self) -> Codes:
        """The integers that activations become."""
        return UNSIGNED if self.dtype == DataType.UINT8 else SIGNED


RECIPES: Mapping[str, Recipe] = {
    recipe.kind: recipe
    for recipe in (
        # For CPUs, where signed activations run half as fast or slower, and transposed convolutions in float alone.
        # ONNX Runtime is twice as fast with pairs on both sides of an activation and a Concat as with one in front of
        # each layer; to OpenVINO it is all the same.
        Recipe(
            kind="u8s8",
            dtype=DataType.UINT8,
            layers=frozenset({"Conv", "Gemm"}),
            around=frozenset({"Relu", "LeakyRelu", "Concat"}),
        ),
        # For TensorRT, which knows no other zero point than 0 and interleaves in int8 between two pairs alone.
        Recipe(
            kind="s8s8",
            dtype=DataType.INT8,
            layers=frozenset({"Conv", "ConvTranspose", "Gemm"}),
            around=frozenset({"Conv", "ConvTranspose", "Gemm", "Relu", "LeakyRelu", "Concat", "DepthToSpace"}),
        ),
    )
}
KINDS = tuple(RECIPES)


Values = list[onnx_ir.Value]
Sources = Mapping[onnx_ir.Value, Values]


@dataclass(frozen=True)
class Group:
    """Values that share a scale, since only moves and a Relu stand between them."""

    values: tuple[str, ...]  # their names, in the order in which the graph makes them
    ends: tuple[str, ...]  # those whose range counts: nothing in the group is made of them


@dataclass(frozen=True)
class Placement:
    """What is quantized: the names of the layers whose weights become int8, and the values that get a pair."""

    layers: tuple[str, ...]
    groups: tuple[Group, ...]


def layers_of(model: onnx_ir.Model, recipe: Recipe) -> tuple[onnx_ir.Node, ...]:
    """Every layer that a recipe can quantize, in the order in which they run."""
    read = ((node, read_layer(node)) for node in model.graph if node.op_type in recipe.layers)
    return tuple(node for node, layer in read if layer is not None and layer.weight.dtype == np.float32)


def place(model: onnx_ir.Model, recipe: Recipe, kept_float: Collection[str] = ()) -> Placement:
    """What a recipe quantizes in a graph."""
    layers = [node for node in layers_of(model, recipe) if node.name not in kept_float]
    wanted = _wanted(model, recipe, layers)
    known = set(wanted)
    sources = {value: list(_sources(value, known)) for value in wanted}
    groups = [_group(members, sources) for members in _together(wanted, sources)]
    return Placement(tuple(str(node.name) for node in layers), tuple(groups))


def _wanted(model: onnx_ir.Model, recipe: Recipe, layers: Collection[onnx_ir.Node]) -> Values:
    """The values that are to be quantized, each after those that it is made of."""
    in_int8 = set(layers)
    values: dict[onnx_ir.Value, None] = {}  # a set that keeps its order
    for node in model.graph:
        inputs = computed_inputs(node)
        if node not in in_int8 and not _go_on(node, inputs, recipe, in_int8):
            continue
        in_int8.add(node)
        if node in layers or node.op_type in recipe.around:
            values.update(dict.fromkeys(inputs))
        if node.op_type in recipe.around:
            values.update(dict.fromkeys(node.outputs))
    return [value for value in values if _is_inner(value, model.graph, MOVES | (recipe.around - recipe.layers))]


def _is_inner(value: onnx_ir.Value, graph: onnx_ir.Graph, carriers: Collection[str]) -> bool:
    """Whether nodes of this graph alone read the value, and one at least."""
    return bool(value.consumers()) and not value.is_graph_output() and _stays_in(value, graph, carriers)


def _stays_in(value: onnx_ir.Value, graph: onnx_ir.Graph, carriers: Collection[str]) -> bool:
    """Whether no subgraph reads the value, or what carriers make of it.

    ONNX Runtime moves a DequantizeLinear past carriers, and aborts where a subgraph reads what they make.
    """
    readers = value.consumers()
    carried = [made for reader in readers if reader.op_type in carriers for made in reader.outputs]
    return all(reader.graph is graph for reader in readers) and all(_stays_in(m, graph, carriers) for m in carried)


def _go_on(node: onnx_ir.Node, inputs: Values, recipe: Recipe, in_int8: Collection[onnx_ir.Node]) -> bool:
    takes_part = node.op_type in (recipe.around - recipe.layers) | MOVES
    return takes_part and bool(inputs) and all(value.producer() in in_int8 for value in inputs)


def _sources(value: onnx_ir.Value, known: Collection[onnx_ir.Value]) -> Iterator[onnx_ir.Value]:
    """The nearest known values that `value` is moved from, or rectified from where nothing else reads them."""
    producer = value.producer()
    if producer is None or producer.op_type not in MOVES | {"Relu"}:
        return
    for source in computed_inputs(producer):
        if producer.op_type == "Relu" and len(source.uses()) > 1:
            continue
        if source in known:
            yield source
        else:
            yield from _sources(source, known)


def _together(values: Values, sources: Sources) -> list[Values]:
    group_of: dict[onnx_ir.Value, Values] = {}
    for value in values:
        members = [value]
        for source in sources[value]:
            if group_of[source] is not members:
                members[:0] = group_of[source]
                group_of.update(dict.fromkeys(members, members))
        group_of[value] = members
    return list({id(members): members for members in group_of.values()}.values())


def _group(members: Values, sources: Sources) -> Group:
    inner = {source for member in members for source in sources[member]}
    ends = [member for member in members if member not in inner]
    return Group(tuple(str(member.name) for member in members), tuple(str(end.name) for end in ends))


LARGEST = 127  # of int8 weights; -128 stays unused, so that the codes lie evenly around 0

Grid = tuple[onnx_ir.Value, onnx_ir.Value]  # scale and zero point, as constants


def write_pairs(model: onnx_ir.Model, recipe: Recipe, placement: Placement, scales: Mapping[str, Scale]) -> None:
    """Quantize what a placement names, in place."""
    builder = Builder(model)
    nodes = list(model.graph)
    values = {str(value.name): value for value in (*model.graph.inputs, *(v for node in nodes for v in node.outputs))}
    for node in nodes:
        if node.name in placement.layers:
            _quantize_weight(builder, node)
    position = {node: index for index, node in enumerate(nodes)}
    for group in placement.groups:
        name = group.values[-1]
        grid = _grid(builder, name, scales[name], recipe.dtype)
        for name in group.values:
            value = values[name]
            _insert_pair(builder, value, grid, before=min(value.consumers(), key=position.__getitem__))


def _grid(builder: Builder, name: str, scale: Scale, dtype: DataType) -> Grid:
    return (
        builder.constant(f"{name}.scale", np.array(scale.scale, np.float32)),
        builder.constant(f"{name}.zero_point", np.array(scale.zero_point, dtype.numpy())),
    )


def _insert_pair(builder: Builder, value: onnx_ir.Value, grid: Grid, before: onnx_ir.Node) -> None:
    """Let everything that reads `value` read what is left of it after quantizing."""
    uses = value.uses()
    codes = builder.before(before, "QuantizeLinear", [value, *grid], f"{value.name}.codes")
    again = builder.before(before, "DequantizeLinear", [codes, *grid], f"{value.name}.again")
    for use in uses:
        use.node.replace_input_with(use.idx, again)


def _quantize_weight(builder: Builder, layer: onnx_ir.Node) -> None:
    """Let a layer read its weights from int8 codes, with a scale for each output channel and the zero point 0.

    Biases stay as they are: TensorRT refuses quantized ones, and engines for CPUs quantize them as they need.
    """
    weight = constant_array(layer.inputs[WEIGHT])
    assert weight is not None  # placements hold layers with constant weights alone
    axis = _channel_axis(layer)
    others = tuple(i for i in range(weight.ndim) if i != axis)
    scale = (np.abs(weight).max(axis=others) / np.float32(LARGEST)).astype(np.float32)
    scale[scale == 0] = 1
    codes = np.round(weight / np.expand_dims(scale, others)).astype(np.int8)
    parts = {"codes": codes, "scale": scale, "zero_point": np.zeros(scale.shape, np.int8)}
    constants = [builder.constant(f"{layer.name}.weight.{word}", array) for word, array in parts.items()]
    name = f"{layer.name}.weight.again"
    again = builder.before(layer, "DequantizeLinear", constants, name, {"axis": axis}, DataType.FLOAT)
    layer.replace_input_with(WEIGHT, again)


def _channel_axis(layer: onnx_ir.Node) -> int:
    """Where a layer's weights hold the output channels; those of a grouped ConvTranspose share scales across groups."""
    if layer.op_type == "Gemm":
        return 0 if layer.attributes.get_int("transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1}[layer.op_type]
