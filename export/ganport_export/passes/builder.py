"""Makes nodes and constants under names that nothing in the model has yet."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy.typing as npt
import onnx_ir


class Builder:
    """Adds to one model's graph; a name that is taken gets a number after it."""

    def __init__(self, model: onnx_ir.Model) -> None:
        self._graph = model.graph
        self._taken = set(_names(model))

    def constant(self, name: str, array: npt.NDArray[Any]) -> onnx_ir.Value:
        """A new initializer."""
        fresh = self._fresh(name)
        tensor = onnx_ir.tensor(array, name=fresh)
        value = onnx_ir.Value(
            name=fresh, shape=onnx_ir.Shape(array.shape), type=onnx_ir.TensorType(tensor.dtype), const_value=tensor
        )
        self._graph.register_initializer(value)
        return value

    def before(
        self,
        place: onnx_ir.Node | None,
        op_type: str,
        inputs: Sequence[onnx_ir.Value | None],
        name: str,
        attributes: Mapping[str, Any] | None = None,
        dtype: onnx_ir.DataType | None = None,
    ) -> onnx_ir.Value:
        """The output of a new node of one output, both called `name`."""
        fresh = self._fresh(name)
        output = onnx_ir.Value(name=fresh, type=None if dtype is None else onnx_ir.TensorType(dtype))
        node = onnx_ir.node(op_type, inputs, attributes, outputs=[output], name=fresh)
        if place is None:
            self._graph.append(node)
        else:
            self._graph.insert_before(place, node)
        return output

    def replace(self, node: onnx_ir.Node, made: onnx_ir.Value) -> None:
        """Remove a node of one output; `made` takes that output's name, shape and type, and its place everywhere."""
        (old,) = node.outputs
        name, old.name = old.name, None
        made.name = name
        made.shape = old.shape if made.shape is None else made.shape
        made.type = old.type if made.type is None else made.type
        onnx_ir.convenience.replace_all_uses_with(old, made, replace_graph_outputs=True)
        self._graph.remove(node, safe=True)

    def _fresh(self, wanted: str) -> str:
        name, number = wanted, 1
        while name in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name


def _names(model: onnx_ir.Model) -> Iterator[str]:
    """Every name of a value or node; those of subgraphs too, which may not repeat one outside."""
    for graph in (model.graph, *model.graph.subgraphs()):
        for value in (*graph.inputs, *graph.initializers.values()):
            yield str(value.name)
    for node in model.graph.all_nodes():
        yield str(node.name)
        for value in node.outputs:
            yield str(value.name)
