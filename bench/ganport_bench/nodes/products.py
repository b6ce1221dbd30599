"""Finds the node of a graph that multiplies matrices behind the name that an engine gave what it made of it."""

from collections.abc import Iterable

import onnx

from ganport_bench.ceilings import NodeTraffic, NodeWork, traffic_of, work_of

__all__ = ["Products"]


class Products:
    """The nodes of a graph that multiply matrices, by name and by output.

    Args:
        graph: ONNX.
    """

    def __init__(self, graph: bytes) -> None:
        nodes = onnx.load_from_string(graph).graph.node
        self._work = {name: work for work in work_of(graph) for name in (work.output, work.name) if name}
        self._traffic = {traffic.output: traffic for traffic in traffic_of(graph)}
        self._makers = {name: node for node in nodes for name in node.output}
        self._nodes = {name: node for node in nodes for name in (node.output[0], node.name) if name}

    def named(self, names: Iterable[str]) -> tuple[NodeWork, ...]:
        """Those of some names that are products, each once."""
        return tuple(dict.fromkeys(self._work[name] for name in names if name in self._work))

    def before(self, name: str) -> NodeWork | None:
        """The product of that name, or the last one before a node of that name, after which engines call both fused."""
        node = self._nodes.get(name)
        while node is not None and node.output[0] not in self._work:
            node = self._makers.get(node.input[0]) if node.input else None
        return None if node is None else self._work[node.output[0]]

    def traffic(self, work: NodeWork) -> NodeTraffic:
        """What a product reads and writes."""
        return self._traffic[work.output]
