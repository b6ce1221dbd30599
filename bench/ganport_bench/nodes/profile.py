"""What is known of a plan's nodes: what each did and how long it took, and how long it would have to take."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ganport_bench.ceilings import Bandwidth, Peak

__all__ = ["Executed", "NodeTime", "Profile", "Summary", "node_times"]


@dataclass(frozen=True)
class Executed:
    """One node of a graph as an engine executed it.

    Attributes:
        name: the engine's.
        executed_as: the kernel, in the engine's words.
        precision: of the numbers that it computes with: `fp32`, `bf16`, `fp16`, `int8`, or the engine's word.
        milliseconds: of one call, the median over runs.
        multiply_adds: of the ONNX nodes that it stands for, for the whole batch; 0 where it multiplies no matrices.
        needed_multiply_adds: of these, the ones that are not with padding nor for what is cropped.
        bytes: read and written by one call, weights among them.
    """

    name: str
    executed_as: str
    precision: str
    milliseconds: float
    multiply_adds: int
    needed_multiply_adds: int
    bytes: int


@dataclass(frozen=True)
class NodeTime(Executed):
    """An executed node among the others.

    Attributes:
        share: of all nodes' time, 0 to 1.
        floor_milliseconds: the longer of what its operations take at the peak and its bytes at the bandwidth; None
            where it multiplies matrices in a precision of which no peak is known.
    """

    share: float
    floor_milliseconds: float | None

    @property
    def operations_per_second(self) -> float:
        """Multiplications and additions together, of those that are needed."""
        return 2e3 * self.needed_multiply_adds / self.milliseconds


@dataclass(frozen=True)
class Summary:
    """Where the time of all nodes goes; the three shares are 1 together.

    Attributes:
        milliseconds: of all nodes.
        products_floor: the share that nodes which multiply matrices need at least.
        products_above_floor: what they take beyond it.
        without_products: what all other nodes take.
    """

    milliseconds: float
    products_floor: float
    products_above_floor: float
    without_products: float


@dataclass(frozen=True)
class Profile:
    """One plan at one batch size.

    Attributes:
        plan: its name.
        engine: the library that ran it.
        batch: images a call.
        precision: what the plan computes with.
        call_milliseconds: of a call as it was measured among all systems, without counters.
        nodes: those that took any time, in the order of execution.
        unfound_multiply_adds: of the graph, in none of the nodes: the engine calls them by names unknown here.
        note: how it was profiled otherwise than it was timed, or empty.
    """

    plan: str
    engine: str
    batch: int
    precision: str
    call_milliseconds: float
    nodes: Sequence[NodeTime]
    unfound_multiply_adds: int = 0
    note: str = ""

    @property
    def summary(self) -> Summary:
        """Where the time goes; a node whose floor is not known counts as wholly above it."""
        total = sum(node.milliseconds for node in self.nodes)
        products = [node for node in self.nodes if node.multiply_adds]
        floor = sum(min(node.floor_milliseconds or 0.0, node.milliseconds) for node in products)
        spent = sum(node.milliseconds for node in products)
        return Summary(total, floor / total, (spent - floor) / total, (total - spent) / total)

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {**asdict(self), "summary": asdict(self.summary)}


def node_times(executed: Sequence[Executed], peaks: Mapping[str, Peak], bandwidth: Bandwidth) -> tuple[NodeTime, ...]:
    """Every node that took any time, with its share and its floor.

    Args:
        executed: what ran, in its order.
        peaks: of the machine, by precision.
        bandwidth: of the machine.
    """
    total = sum(node.milliseconds for node in executed)
    return tuple(
        NodeTime(**asdict(node), share=node.milliseconds / total, floor_milliseconds=_floor(node, peaks, bandwidth))
        for node in executed
        if node.milliseconds > 0
    )


def _floor(node: Executed, peaks: Mapping[str, Peak], bandwidth: Bandwidth) -> float | None:
    memory = 1e3 * bandwidth.seconds(node.bytes)
    if not node.multiply_adds:
        return memory
    if node.precision not in peaks:
        return None
    return max(memory, 2e3 * node.needed_multiply_adds / peaks[node.precision].operations_per_second.value)
