"""The machine's matrix-product peak: products of large matrices by every library at hand, the fastest one counts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

from ganport_bench.ceilings import products
from ganport_bench.ceilings.fastest import fastest
from ganport_bench.ceilings.int8_product import Shape
from ganport_bench.ceilings.products import Product
from ganport_bench.timing import Estimate, System, turns_of

__all__ = ["PRODUCTS", "Maker", "Peak", "higher", "measure_peaks"]

SHAPES = ((1024, 1024, 1024), (2048, 2048, 2048), (1024, 4096, 256))  # larger ones were no faster


@dataclass(frozen=True)
class Maker:
    """One way to multiply two matrices, if its library is here.

    Attributes:
        how: the library and what it multiplies.
        make: a product of a shape; raises where the library or the processor cannot.
    """

    how: str
    make: Callable[[Shape], Product]


PRODUCTS: Mapping[str, Sequence[Maker]] = {
    "fp32": (
        Maker("NumPy's BLAS, float32", products.by_numpy),
        Maker("PyTorch, float32", partial(products.by_pytorch, dtype="float32")),
        Maker("OpenVINO, float32", partial(products.by_openvino_float, hint="f32")),
    ),
    "bf16": (
        Maker("PyTorch, bfloat16", partial(products.by_pytorch, dtype="bfloat16")),
        Maker("OpenVINO, bfloat16", partial(products.by_openvino_float, hint="bf16")),
    ),
    "int8": (
        Maker("ONNX Runtime, u8 by s8, u8 out", partial(products.by_onnxruntime, left="uint8")),
        Maker("OpenVINO, u8 by s8, u8 out", partial(products.by_openvino, left="uint8")),
        Maker("OpenVINO, s8 by s8, s8 out", partial(products.by_openvino, left="int8")),
    ),
}


@dataclass(frozen=True)
class Peak:
    """The most operations a second that were measured at one precision.

    Attributes:
        precision: of both factors.
        operations_per_second: multiplications and additions together, the median over rounds of the fastest.
        how: by what, and the shape.
        others: the same figure of everything else that was tried.
        refused: what could not be tried, and why.
    """

    precision: str
    operations_per_second: Estimate
    how: str
    others: Mapping[str, float]
    refused: Mapping[str, str]

    def images_per_second(self, multiply_adds: int) -> float:
        """The floor of a network's time turned around: images a second at the peak, two operations a multiply-add."""
        return self.operations_per_second.value / (2 * multiply_adds)


def higher(first: Mapping[str, Peak], second: Mapping[str, Peak]) -> dict[str, Peak]:
    """The higher of two measurements of each precision: other load can only have lowered them."""
    return {
        precision: max((first[precision], second[precision]), key=lambda peak: peak.operations_per_second.value)
        for precision in first
        if precision in second
    }


def measure_peaks(
    *,
    rounds: int,
    turn_seconds: float,
    shapes: Sequence[Shape] = SHAPES,
    makers: Mapping[str, Sequence[Maker]] = PRODUCTS,
    timed: Callable[[Product, float], System] = turns_of,
) -> dict[str, Peak]:
    """The peak of every precision for which at least one product can be made.

    Args:
        rounds: turns of every product.
        turn_seconds: of one turn, about.
        shapes: of the products.
        makers: what is tried, by precision.
        timed: makes turns of about so many seconds of a product, each of which returns the seconds of one.
    """
    found = dict[str, Peak]()
    for precision, ways in makers.items():
        made, refused = _make(ways, shapes)
        if made:
            turns = {name: timed(product, turn_seconds) for name, (product, _) in made.items()}
            operations = {name: 2 * prod(shape) for name, (_, shape) in made.items()}
            found[precision] = Peak(precision, *fastest(turns, operations, rounds=rounds), refused)
    return found


def _make(makers: Iterable[Maker], shapes: Sequence[Shape]) -> tuple[dict[str, tuple[Product, Shape]], dict[str, str]]:
    made: dict[str, tuple[Product, Shape]] = {}
    refused: dict[str, str] = {}
    for maker in makers:
        try:
            products_of_shapes = {
                f"{maker.how}, {'x'.join(map(str, shape))}": (maker.make(shape), shape) for shape in shapes
            }
        except Exception as error:  # a library that is missing, or whatever it raises where it cannot
            refused[maker.how] = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        else:
            made |= products_of_shapes
    return made, refused
