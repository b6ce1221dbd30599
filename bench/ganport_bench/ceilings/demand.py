"""What a network asks of a machine however well it is run: its arithmetic, weights, latents and images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ganport_bench.ceilings.multiply_adds import PRODUCTS, work_of
from ganport_bench.ceilings.one_image import one_image

__all__ = ["BYTES", "Demand", "demand_of"]

BYTES: Mapping[str, int] = {"fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "int8": 1}  # of a weight, by precision


@dataclass(frozen=True)
class Demand:
    """What an engine cannot do without that keeps every activation where it computes.

    Attributes:
        multiply_adds: for one image, by the usual count.
        needed_multiply_adds: for one image, without those on padding and for what is cropped.
        weight_values: numbers in the constants of all nodes that multiply matrices, each constant once.
        weight_bytes: of these as they are stored in the graph.
        latent_bytes: read for one image.
        image_bytes: written for one image.
    """

    multiply_adds: int
    needed_multiply_adds: int
    weight_values: int
    weight_bytes: int
    latent_bytes: int
    image_bytes: int

    def operations(self, batch: int) -> int:
        """Multiplications and additions of a call that nobody gets around by convolving directly."""
        return 2 * self.needed_multiply_adds * batch

    def bytes(self, precision: str, batch: int) -> int:
        """Read and written by a call whose weights are of a precision: weights once, latents and images each."""
        return BYTES[precision] * self.weight_values + batch * (self.latent_bytes + self.image_bytes)

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def demand_of(model: bytes) -> Demand:
    """The demand of a generator's graph, of whatever form.

    Raises:
        BenchError: a shape that is needed cannot be inferred.
    """
    one, work = one_image(model), work_of(model)
    products = [node for node in one.graph.node if node.op_type in PRODUCTS]
    weights = {tensor.name: tensor for node in products for tensor in one.weights(node)}.values()
    first, last = one.graph.node[0], one.graph.node[-1]
    return Demand(
        sum(node.multiply_adds for node in work),
        sum(node.needed for node in work),
        sum(tensor.values for tensor in weights),
        sum(tensor.bytes for tensor in weights),
        sum(one.bytes(first, name) for name in one.data_inputs),
        sum(one.bytes(last, value.name) for value in one.graph.output),
    )
