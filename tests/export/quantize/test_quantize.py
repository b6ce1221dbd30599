"""int8 graphs through the public door: what they hold, what they compute, and how their choices were made."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir
import pytest
from ganport_export import ExportError
from ganport_export.graph import to_bytes
from ganport_export.passes.to_fused import to_fused
from ganport_export.passes.to_phase import to_phase
from ganport_export.quantize import KINDS, Quantized, quantize
from ganport_export.quantize.placement import RECIPES, place
from ganport_export.session import OnnxSession
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import helper

from tests.export.graphs import FLOAT, model_of, node, run, weights
from tests.export.quantize.networks import LATENT_DIM, exact_int8, feeds, generator

Array = NDArray[np.float32]
KINDS_HERE = [pytest.param("u8s8", marks=exact_int8), "s8s8"]


def quantized(model: onnx_ir.Model, kind: str, *shape: int, target_db: float = 0.0) -> Quantized:
    return quantize(model, kind, calibration=feeds(1, *shape), held_out=feeds(2, *shape), target_db=target_db)


def in_form(kind: str, **options: object) -> onnx_ir.Model:
    """The form that a kind is meant for."""
    model = generator(**options)  # type: ignore[arg-type]
    (to_fused if kind == "u8s8" else to_phase)(model)
    return model


def constant(value: onnx_ir.Value | None) -> NDArray[Any]:
    assert value is not None
    assert value.const_value is not None
    return value.const_value.numpy()


def nodes(model: onnx_ir.Model, *kinds: str) -> list[onnx_ir.Node]:
    return [node for node in model.graph if node.op_type in kinds]


def maker(value: onnx_ir.Value | None) -> str:
    assert value is not None
    producer = value.producer()
    return "" if producer is None else producer.op_type


def psnr_db(wanted: Array, made: Array) -> float:
    return float(10 * np.log10(np.ptp(wanted) ** 2 / np.mean(np.square(wanted - made))))


@pytest.mark.parametrize("kind", KINDS_HERE)
@pytest.mark.parametrize("activation", ["Relu", "LeakyRelu"])
def test_int8_makes_the_same_images(kind: str, activation: str) -> None:
    model = in_form(kind, activation=activation)
    before = to_bytes(model)
    made = quantized(model, kind, LATENT_DIM)
    assert to_bytes(model) == before
    x = feeds(3, LATENT_DIM)[0]["x"]
    assert 30 < psnr_db(run(model, x), run(made.model, x)) < 80
    assert made.kept_float == ()


@pytest.mark.parametrize("kind", KINDS_HERE)
def test_file_holds_codes_and_no_float_weights(kind: str) -> None:
    made = quantized(in_form(kind), kind, LATENT_DIM).model
    layers = nodes(made, "Conv", "Gemm")
    assert layers
    for layer in layers:
        assert maker(layer.inputs[1]) == "DequantizeLinear"
        assert constant(layer.inputs[2]).dtype == np.float32  # TensorRT refuses quantized biases
    floats = [value for value in made.graph.initializers.values() if value.dtype == onnx_ir.DataType.FLOAT]
    assert max(constant(value).size for value in floats) <= 6 * 16  # scales and biases


@pytest.mark.parametrize("kind", KINDS_HERE)
def test_every_int8_layer_reads_codes_of_the_kinds_type(kind: str) -> None:
    made = quantized(in_form(kind), kind, LATENT_DIM).model
    pixels = [node for node in nodes(made, "QuantizeLinear") if maker(node.inputs[0]) == "Sigmoid"]
    pairs = [node for node in nodes(made, "QuantizeLinear") if node not in pixels]
    assert pairs
    for layer in nodes(made, "Conv", "Gemm"):
        assert maker(layer.inputs[0]) == "DequantizeLinear"
    zero_points = [constant(node.inputs[2]) for node in pairs]
    assert {zero_point.dtype for zero_point in zero_points} == {np.dtype("uint8" if kind == "u8s8" else "int8")}
    of_latents, *others = zero_points
    assert all(zero_point == 0 for zero_point in others)  # after a Relu, or symmetric
    assert (of_latents == 0) == (kind == "s8s8")


@pytest.mark.parametrize("kind", KINDS)
def test_interleaving_happens_in_int8_at_one_scale(kind: str) -> None:
    made = quantized(in_form(kind), kind, LATENT_DIM).model
    stacks = nodes(made, "Concat")
    assert stacks
    for stack in stacks:
        (interleave,) = (reader.outputs[0].consumers()[0] for reader in stack.outputs[0].consumers())
        (interleave,) = interleave.outputs[0].consumers()
        assert interleave.op_type == "DepthToSpace"
        (after,) = interleave.outputs[0].consumers()
        assert after.op_type == "QuantizeLinear"
        dequantize = [value.producer() for value in (*stack.inputs, interleave.inputs[0]) if value is not None]
        assert {node.op_type for node in dequantize if node} == {"DequantizeLinear"}
        scales = [node.inputs[1] for node in (*dequantize, after) if node]
        assert len({constant(scale).item() for scale in scales}) == 1


def test_onnx_runtime_runs_u8s8_in_int8(tmp_path: Path) -> None:
    """All layers but the last, whose activation it does not join to an int8 convolution."""
    import onnx
    import onnxruntime  # type: ignore[import-untyped]

    made = quantized(in_form("u8s8"), "u8s8", LATENT_DIM).model
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(to_bytes(made), options, providers=["CPUExecutionProvider"])
    operators = [node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node]
    assert operators.count("QLinearConv") == 4
    assert operators.count("QLinearConcat") == 1
    assert operators.count("Conv") + operators.count("FusedConv") == 1


@pytest.mark.parametrize(
    ("operator", "shape", "attributes", "axis", "x"),
    [
        ("Conv", (5, 3, 3, 3), {}, 0, (3, 6, 6)),
        ("Conv", (6, 2, 3, 3), {"group": 2}, 0, (4, 6, 6)),
        ("ConvTranspose", (3, 5, 4, 4), {}, 1, (3, 6, 6)),
        ("ConvTranspose", (4, 3, 4, 4), {"group": 2}, 1, (4, 6, 6)),
        ("Gemm", (7, 4), {}, 1, (7,)),
        ("Gemm", (4, 7), {"transB": 1}, 0, (7,)),
    ],
)
def test_weights_have_a_scale_for_each_output_channel(
    operator: str, shape: tuple[int, ...], attributes: dict[str, Any], axis: int, x: tuple[int, ...]
) -> None:
    spread = np.logspace(0, 3, shape[axis]).astype(np.float32)  # one scale for all would leave the first ones nothing
    others = tuple(i for i in range(len(shape)) if i != axis)
    weight = weights(np.random.default_rng(4), *shape) * np.expand_dims(spread, others)
    model = model_of([node(operator, ["x", "w"], ["y"], name="layer", **attributes)], {"w": weight}, x)
    (layer,) = nodes(quantized(model, "s8s8", *x).model, operator)
    dequantize = layer.inputs[1].producer() if layer.inputs[1] is not None else None
    assert dequantize is not None
    codes, scale, zero_point = (constant(value) for value in dequantize.inputs)
    assert dequantize.attributes.get_int("axis") == axis
    assert codes.dtype == zero_point.dtype == np.int8
    assert not zero_point.any()
    assert (np.abs(codes.astype(int)).max(axis=others) == 127).all()
    restored = codes * np.expand_dims(scale, others)
    assert (np.abs(restored - weight) <= np.expand_dims(scale, others) * 0.5001).all()


@exact_int8
def test_arithmetic_is_that_of_the_codes() -> None:
    """x -> Gemm -> Relu -> Gemm, computed by numpy from the file's codes and scales alone."""
    random = np.random.default_rng(5)
    constants = {"w": weights(random, 7, 9), "b": weights(random, 9), "v": weights(random, 9, 4)}
    model = model_of(
        [node("Gemm", ["x", "w", "b"], ["h"]), node("Relu", ["h"], ["a"]), node("Gemm", ["a", "v"], ["y"])],
        constants,
        (7,),
    )
    made = quantized(model, "u8s8", 7).model
    quantizers = nodes(made, "QuantizeLinear")
    assert [maker(node.inputs[0]) for node in quantizers] == ["", "Gemm", "Relu"]

    def through(node: onnx_ir.Node, values: NDArray[Any]) -> NDArray[Any]:
        scale, zero_point = (constant(value).astype(np.float64) for value in node.inputs[1:])
        return (np.clip(np.rint(values / scale) + zero_point, 0, 255) - zero_point) * scale

    def weight_of(layer: onnx_ir.Node) -> NDArray[Any]:
        assert layer.inputs[1] is not None
        producer = layer.inputs[1].producer()
        assert producer is not None
        codes, scale, _ = (constant(value).astype(np.float64) for value in producer.inputs)
        return codes * scale

    first, second = nodes(made, "Gemm")
    x = feeds(6, 7)[0]["x"]
    h = through(quantizers[0], x) @ weight_of(first) + constants["b"]
    a = through(quantizers[2], np.maximum(through(quantizers[1], h), 0))
    step = constant(quantizers[2].inputs[1]).item()  # a value on the edge of two codes may fall to either
    slack = step * np.abs(weight_of(second)).sum(axis=0).max()
    wanted = a @ weight_of(second)
    difference = np.abs(run(made, x) - wanted)
    assert difference.max() <= slack
    assert np.mean(difference > 1e-3) < 0.05


@exact_int8
def test_the_method_with_the_least_image_error_is_taken_and_all_figures_are_kept() -> None:
    made = quantized(in_form("u8s8"), "u8s8", LATENT_DIM)
    assert set(made.tried) == {"min-max", "percentile 99.999", "percentile 99.99", "mean squared error"}
    assert made.tried[made.range_method] == max(made.tried.values()) == made.psnr_db
    said = made.to_json()
    assert said["tried"] == {name: round(psnr, 2) for name, psnr in made.tried.items()}
    assert (said["kind"], said["kept_float"], said["target_psnr_db"]) == ("u8s8", [], 0.0)


def test_psnr_is_that_of_the_held_out_inputs() -> None:
    model = in_form("s8s8")
    made = quantized(model, "s8s8", LATENT_DIM)
    x = np.concatenate([feed["x"] for feed in feeds(2, LATENT_DIM)])
    assert made.psnr_db == pytest.approx(psnr_db(run(model, x), run(made.model, x)), abs=0.01)


def sensitive(*, target_db: float) -> Quantized:
    """The first layer reads one input a thousand times as large as the others, and hardly uses it."""
    random = np.random.default_rng(7)
    first = weights(random, 8, 16)
    first[0] /= 1000
    model = model_of(
        [node("Gemm", ["x", "w"], ["h"]), node("Relu", ["h"], ["a"]), node("Gemm", ["a", "v"], ["y"])],
        {"w": first, "v": weights(random, 16, 64)},
        (8,),
    )
    sets = [feeds(seed, 8) for seed in (1, 2)]
    for feed in (feed for each in sets for feed in each):
        feed["x"][:, 0] *= 1000
    return quantize(model, "u8s8", calibration=sets[0], held_out=sets[1], target_db=target_db)


def test_a_sensitive_layer_stays_in_float_where_the_target_needs_it() -> None:
    low, high = sensitive(target_db=0), sensitive(target_db=30)
    assert low.kept_float == ()
    assert low.psnr_db < 20
    assert high.kept_float == ("gemm_0",)
    assert high.psnr_db > 30
    (step,) = high.to_json()["kept_float_steps"]
    assert step["layers"] == ["gemm_0"]
    assert step["share_of_multiplications"] == pytest.approx(8 / (8 + 64), abs=1e-4)
    assert step["tried"]["gemm_0"] == step["psnr_db"] > step["tried"]["gemm_1"]
    first, second = nodes(high.model, "Gemm")
    assert constant(first.inputs[1]).dtype == np.float32
    assert maker(first.inputs[0]) == ""
    assert maker(second.inputs[1]) == "DequantizeLinear"


@exact_int8
def test_white_that_is_painted_very_surely_costs_the_other_colors_nothing() -> None:
    """Most of what Tanh reads lies far beyond where it ends; ranges that held it would leave few codes to the rest."""
    random = np.random.default_rng(8)
    model = model_of(
        [node("Gemm", ["x", "w"], ["h"]), node("Tanh", ["h"], ["y"])],
        {"w": np.hstack([weights(random, 6, 20) / 4, 100 * weights(random, 6, 4)])},
        (6,),
    )
    made = quantized(model, "s8s8", 6)
    assert made.tried["min-max"] > 40


def test_a_graph_of_one_value_cannot_be_measured() -> None:
    model = model_of([node("Gemm", ["x", "w"], ["y"])], {"w": np.zeros((3, 2), np.float32)}, (3,))
    with pytest.raises(ExportError, match="gives one value, whatever its inputs are"):
        quantized(model, "s8s8", 3)


@pytest.mark.slow
@given(st.data())
@settings(deadline=None, max_examples=15)
def test_any_small_network_keeps_its_output(data: st.DataObject) -> None:
    draw, random = data.draw, np.random.default_rng(data.draw(st.integers(0, 99)))
    groups = draw(st.sampled_from([1, 2]))
    inputs, hidden, outputs = (groups * draw(st.integers(least, 4)) for least in (1, 4, 1))
    kernel, transposed = draw(st.integers(1, 4)), draw(st.booleans())
    shape = (inputs, hidden // groups) if transposed else (hidden, inputs // groups)
    constants: dict[str, NDArray[np.generic]] = {
        "w": weights(random, *shape, kernel, kernel),
        "b": weights(random, hidden),
        "v": weights(random, outputs, hidden, 1, 1),
    }
    layer, activation = "ConvTranspose" if transposed else "Conv", draw(st.sampled_from(["Relu", "LeakyRelu", "Abs"]))
    graph = [
        node(layer, ["x", "w", "b"], ["h"], group=groups),
        node(activation, ["h"], ["a"]),
        node("Concat", ["a", "a"], ["cc"], axis=2),
        node("Conv", ["cc", "v"], ["y"]),
    ]
    model = model_of(graph, constants, (inputs, 5, 5))
    kind = draw(st.sampled_from(KINDS))
    made = quantized(model, kind, inputs, 5, 5)
    (y,) = OnnxSession(to_bytes(made.model), threads=1)(feeds(3, inputs, 5, 5)[0]).values()
    assert psnr_db(run(model, feeds(3, inputs, 5, 5)[0]["x"]), y) > 28


@pytest.mark.parametrize("captured", [True, False])
@pytest.mark.parametrize("moves", [["Identity"], ["Identity", "Relu"]])
def test_a_layer_gets_no_pair_behind_it_where_a_subgraph_reads_what_it_moves_to(
    moves: list[str], captured: bool
) -> None:
    names = ["g", *(f"m{index}" for index in range(len(moves)))]
    carried = [node(op, [names[i]], [names[i + 1]], f"move{i}") for i, op in enumerate(moves)]
    read = names[-1] if captured else "x2"
    inner = helper.make_tensor_value_info("inner", FLOAT, None)
    branch = helper.make_graph([node("Abs", [read], ["inner"], "abs")], "branch", [], [inner])
    nodes = [
        node("Identity", ["x"], ["x2"], "copy"),
        node("Gemm", ["x", "w"], ["g"], "dense"),
        *carried,
        node("If", ["yes"], ["i"], "choice", then_branch=branch, else_branch=branch),
        node("Add", [names[-1], "i"], ["y"], "sum"),
    ]
    constants = {"w": np.ones((4, 4), np.float32), "yes": np.array(True)}
    made = place(model_of(nodes, constants, (4,)), RECIPES["s8s8"])
    assert made.layers == ("dense",)
    assert ("g" in {value for group in made.groups for value in group.values}) != captured
