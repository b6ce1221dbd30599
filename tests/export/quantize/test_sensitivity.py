"""Which layers go back to float, in which order, and when it is enough: by figures that the test makes up."""

from collections.abc import Collection
from math import log10

import numpy as np
import pytest
from ganport_export.passes.name_plainly import name_plainly
from ganport_export.passes.to_phase import to_phase
from ganport_export.quantize.sensitivity import Block, Measure, blocks_of, keep_sensitive

from tests.export.graphs import model_of, node, weights
from tests.export.quantize.networks import generator

GEMM, WIDE, LAST = Block(("gemm",), 0.02), Block(("wide_0", "wide_1"), 0.9), Block(("last",), 0.08)
BLOCKS = (GEMM, WIDE, LAST)


def errors(**squares: float) -> Measure:
    """Errors of layers add up; what stays in float has none. 1 is 30 dB."""

    def measure(kept_float: Collection[str]) -> float:
        left = 1e-9 + sum(square for name, square in squares.items() if name not in kept_float)
        return 30 - 10 * log10(left)

    return measure


def kept(measure: Measure, target_db: float) -> list[tuple[str, ...]]:
    steps = keep_sensitive(measure, BLOCKS, measure(()), target_db)
    return [step.block.layers for step in steps]


def test_nothing_is_kept_where_the_images_are_good_enough() -> None:
    assert kept(errors(gemm=0.3, wide_0=0.3, wide_1=0.3, last=0.3), target_db=29) == []


def test_what_gains_most_for_its_cost_comes_first() -> None:
    measure = errors(gemm=0.1, wide_0=0.5, wide_1=0.5, last=0.3)
    assert kept(measure, 29.9) == [("gemm",), ("last",)]  # 5 and 3.75 of error for a unit of cost against 1.1


def test_a_layer_that_costs_nothing_and_halves_the_error_goes_to_float_beyond_the_target() -> None:
    assert kept(errors(gemm=0.6, wide_0=0.2, wide_1=0.1, last=0.1), target_db=20) == [("gemm",)]
    assert kept(errors(gemm=0.1, wide_0=0.2, wide_1=0.1, last=0.6), target_db=20) == []  # no small one


def test_it_stops_where_nothing_helps_and_leaves_one_block_quantized() -> None:
    assert kept(lambda _: 20.0, target_db=40) == []
    measure = errors(gemm=0.3, wide_0=0.3, wide_1=0.3, last=0.3)
    assert len(kept(measure, 200)) == len(BLOCKS) - 1


def test_phases_of_one_layer_are_one_block_that_costs_what_the_layer_did() -> None:
    model = generator()
    layers = [node for node in model.graph if node.op_type in ("Gemm", "ConvTranspose")]
    as_trained = blocks_of(model, layers)
    multiplications = [10 * 96, 6 * 5 * 16 * 16, 5 * 3 * 16 * 64]
    assert [block.cost for block in as_trained] == pytest.approx([m / sum(multiplications) for m in multiplications])
    to_phase(model)
    name_plainly(model)
    phases = blocks_of(model, [node for node in model.graph if node.op_type in ("Gemm", "Conv")])
    assert [block.layers for block in phases] == [
        ("gemm_0",),
        ("conv_0", "conv_1", "conv_2", "conv_3"),
        ("conv_4", "conv_5", "conv_6", "conv_7"),
    ]
    assert [block.cost for block in phases] == pytest.approx([block.cost for block in as_trained])


def test_layers_that_read_one_value_but_part_are_blocks_of_their_own() -> None:
    random = np.random.default_rng(0)
    nodes = [
        node("Conv", ["x", "v"], ["a"], name="a"),
        node("Conv", ["x", "w"], ["b"], name="b"),
        node("Add", ["a", "b"], ["y"]),
    ]
    constants = {name: weights(random, 2, 3, 1, 1) for name in "vw"}
    model = model_of(nodes, constants, (3, 4, 4))
    found = blocks_of(model, [node for node in model.graph if node.op_type == "Conv"])
    assert [(block.layers, block.cost) for block in found] == [(("a",), 0.5), (("b",), 0.5)]
