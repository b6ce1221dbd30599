"""A file of anyone's becomes a faster one that is as near to it as was asked for, or there is none and one line why."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ganport_export.errors import ExportError, ParityError
from ganport_export.original import Original
from ganport_runtime.latents import latents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.support.onnx_files import LATENT_DIM, generator_file, generator_model, graph_model, run_file
from tests.support.optimizing import declared, quiet

FLOAT = TensorProto.FLOAT
Z = latents(77, 0, 8, LATENT_DIM)


def operators(path: Path) -> Counter[str]:
    return Counter(node.op_type for node in onnx.load(path).graph.node)


@pytest.mark.parametrize("opset", [11, 13, 18, 22])
@pytest.mark.parametrize("form", ["deconv", "phase", "fused"])
def test_every_form_computes_the_same(tmp_path: Path, form: str, opset: int) -> None:
    source, out = generator_file(tmp_path / "in.onnx", opset=opset), tmp_path / "out.onnx"
    result = quiet(source, out, form=form)
    assert result.changed
    assert result.left == ()
    assert result.treated["batch_norms_folded"] == 2
    made = operators(out)
    assert made["BatchNormalization"] == 0
    assert made["ConvTranspose"] == (2 if form == "deconv" else 0)
    np.testing.assert_allclose(run_file(out, {"z": Z})[0], run_file(source, {"z": Z})[0], atol=1e-5)
    assert declared(out) == declared(source)
    assert result.psnr_db > 95
    onnx.checker.check_model(onnx.load(out), full_check=True)


@pytest.mark.parametrize("pixels", [True, False])
@pytest.mark.parametrize("form", ["deconv", "phase", "fused"])
def test_half_precision_is_typed_and_keeps_what_is_declared(tmp_path: Path, form: str, pixels: bool) -> None:
    source, out = generator_file(tmp_path / "in.onnx", pixels=pixels), tmp_path / "out.onnx"
    result = quiet(source, out, form=form, precision="fp16")
    weights = [each for each in onnx.load(out).graph.initializer if len(each.dims) == 4]
    assert {each.data_type for each in weights} == {TensorProto.FLOAT16}
    assert declared(out) == declared(source)
    wanted, made = run_file(source, {"z": Z})[0], run_file(out, {"z": Z})[0]
    np.testing.assert_allclose(made.astype(float), wanted.astype(float), atol=1 if pixels else 2e-3)
    assert any("stays in float32: it scales, rounds or moves pixels" in line for line in result.left) == (
        pixels and form != "fused"
    )
    assert (result.outputs[0].peak == 255) == pixels


@pytest.mark.parametrize("opset", [11, 18])
@pytest.mark.parametrize("kind", ["u8s8", "s8s8"])
def test_int8_quantizes_what_its_kind_can(tmp_path: Path, kind: str, opset: int) -> None:
    source, out = generator_file(tmp_path / "in.onnx", opset=opset), tmp_path / "out.onnx"
    result = quiet(source, out, form="phase", precision="int8", kind=kind, min_psnr_db=20)
    assert result.treated["layers_in_int8"] > 4
    assert operators(out)["QuantizeLinear"] > 0
    assert any("converted from opset 11 to 13" in line for line in result.left) == (opset == 11)
    assert result.quantization is not None
    assert result.quantization["kind"] == kind
    assert declared(out) == declared(source)
    error = run_file(out, {"z": Z})[0] - run_file(source, {"z": Z})[0]
    assert 0 < np.abs(error).mean() < 0.05


def test_the_figures_are_the_mean_and_worst_of_each_sample_s_own_ratio(tmp_path: Path) -> None:
    source, out = generator_file(tmp_path / "in.onnx"), tmp_path / "out.onnx"
    np.save(tmp_path / "z.npy", Z[:2])
    result = quiet(source, out, precision="fp16", calibration=tmp_path / "z.npy")
    wanted, made = (run_file(path, {"z": Z[:2]})[0].astype(np.float64) for path in (source, out))
    peak = wanted.max() - wanted.min()
    ratios = [10 * math.log10(peak**2 / np.square(made[i] - wanted[i]).mean()) for i in range(2)]
    (figures,) = result.outputs
    assert figures.psnr_db_mean == pytest.approx(np.mean(ratios), rel=1e-3)
    assert figures.psnr_db_worst == pytest.approx(min(ratios), rel=1e-3)
    assert figures.largest_difference == pytest.approx(np.abs(made - wanted).max(), rel=1e-3)
    assert (figures.name, figures.samples) == ("image", 2)
    assert figures.peak == pytest.approx(peak)
    assert "few: the same ones serve to calibrate and to measure" in result.left[0]


def test_a_result_under_the_floor_is_not_written(tmp_path: Path) -> None:
    source, out = generator_file(tmp_path / "in.onnx", pixels=True), tmp_path / "out.onnx"
    out.write_bytes(b"precious")
    with pytest.raises(ParityError, match=r"too far from .*in\.onnx: image: PSNR mean .* and --min-psnr is 99\.9 dB"):
        quiet(source, out, precision="fp16", min_psnr_db=99.9, overwrite=True)
    assert out.read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.onnx", "out.onnx"]


def test_a_graph_that_nothing_treats_is_written_as_it_is(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], "product"),
        helper.make_node("ConvTranspose", ["h", "k"], ["y"], "up", strides=[1, 1]),
    ]
    constants = {"w": np.ones((4, 4), np.float32), "k": np.ones((2, 3, 2, 2), np.float32)}
    model = graph_model(nodes, constants, {"x": (FLOAT, ["n", 2, 4, 4])}, {"y": (FLOAT, ["n", 3, 5, 5])})
    onnx.save(model, tmp_path / "in.onnx")
    result = quiet(tmp_path / "in.onnx", tmp_path / "out.onnx", form="phase")
    assert not result.changed
    assert result.left == (
        "transposed convolution 'up' stays as it is: its stride is [1, 1], not 2 in both directions",
    )
    assert onnx.load(tmp_path / "out.onnx") == model
    assert result.psnr_db == 100


def test_weights_in_another_file_come_into_this_one(tmp_path: Path) -> None:
    source, out = tmp_path / "apart" / "in.onnx", tmp_path / "elsewhere" / "out.onnx"
    source.parent.mkdir()
    onnx.save(generator_model(), source, save_as_external_data=True, location="in.weights", size_threshold=100)
    wanted = run_file(source, {"z": Z})[0]
    quiet(source, out, form="phase")
    (source.parent / "in.weights").unlink()
    np.testing.assert_allclose(run_file(out, {"z": Z})[0], wanted, atol=1e-5)
    with pytest.raises(ExportError, match="weights that cannot be read"):
        quiet(source, tmp_path / "again.onnx")


def test_weights_that_are_inputs_too_become_constants(tmp_path: Path) -> None:
    model = generator_model()
    for each in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(each.name, each.data_type, each.dims))
    model.ir_version = 3  # in which they have to be
    onnx.save(model, tmp_path / "in.onnx")
    result = quiet(tmp_path / "in.onnx", tmp_path / "out.onnx", form="phase")
    assert "inputs that have a value already become constants: w, b, shape" in result.left[0]
    assert operators(tmp_path / "out.onnx")["ConvTranspose"] == 0
    assert [value.name for value in declared(tmp_path / "out.onnx")] == ["z", "image"]
    wanted, made = (run_file(tmp_path / f"{name}.onnx", {"z": Z})[0] for name in ("in", "out"))
    np.testing.assert_allclose(made, wanted, atol=1e-5)


def test_layers_inside_functions_are_treated(tmp_path: Path) -> None:
    up = helper.make_node("ConvTranspose", ["a", "k"], ["b"], "up", strides=[2, 2])
    function = helper.make_function("someone", "Up", ["a", "k"], ["b"], [up], [helper.make_opsetid("", 17)])
    model = graph_model(
        [helper.make_node("Up", ["x", "w"], ["y"], "call", domain="someone")], {"w": np.ones((2, 3, 2, 2), np.float32)},
        {"x": (FLOAT, ["n", 2, 4, 4])}, {"y": (FLOAT, ["n", 3, 8, 8])}, domains=["someone"],
    )  # fmt: skip
    model.functions.append(function)
    model.ir_version = 8
    onnx.save(model, tmp_path / "in.onnx")
    result = quiet(tmp_path / "in.onnx", tmp_path / "out.onnx", form="phase")
    assert result.treated["transposed_convolutions_replaced"] == 1
    assert operators(tmp_path / "out.onnx")["Conv"] == 4


def test_a_fixed_batch_stays_fixed(tmp_path: Path) -> None:
    source, out = generator_file(tmp_path / "in.onnx", batch=5), tmp_path / "out.onnx"
    result = quiet(source, out, form="phase", precision="fp16")
    assert declared(out) == declared(source)
    assert result.outputs[0].samples == 130  # 128 of them, and two again to fill the last batch


def test_dynamic_sizes_need_inputs_of_a_size(tmp_path: Path) -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], "up", strides=[2, 2])
    constants = {"w": np.ones((2, 3, 4, 4), np.float32)}
    x, y = {"x": (FLOAT, ["n", 2, "height", "width"])}, {"y": (FLOAT, ["n", 3, "higher", "wider"])}
    onnx.save(graph_model([node], constants, x, y), tmp_path / "in.onnx")
    with pytest.raises(
        ExportError, match=r"x float32 \[batch, 2, \?, \?\] has sizes beside the batch that are not fixed"
    ):
        quiet(tmp_path / "in.onnx", tmp_path / "out.onnx", form="phase")
    assert not (tmp_path / "out.onnx").exists()
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(9, 2, 3, 5)).astype(np.float32))
    result = quiet(tmp_path / "in.onnx", tmp_path / "out.onnx", form="phase", calibration=tmp_path / "x.npy")
    assert result.treated["transposed_convolutions_replaced"] == 1
    assert result.outputs[0].samples == 3  # every third of the nine


def test_a_graph_that_makes_nan_is_refused_by_the_node(tmp_path: Path) -> None:
    nodes = [helper.make_node("Sqrt", ["x"], ["s"], "culprit"), helper.make_node("Tanh", ["s"], ["y"], "victim")]
    onnx.save(graph_model(nodes, {}, {"x": (FLOAT, ["n", 4])}, {"y": (FLOAT, ["n", 4])}), tmp_path / "in.onnx")
    with pytest.raises(ExportError, match="meets NaN in the output 's' of Sqrt 'culprit', on 128 latents"):
        quiet(tmp_path / "in.onnx", tmp_path / "out.onnx")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.full((4, LATENT_DIM), np.nan, np.float32), "holds NaN or infinity"),
        (np.zeros((4, LATENT_DIM)), r"holds float64 \[4, 6\], wanted one input or more for z float32 \[batch, 6\]"),
        (np.zeros((4, 5), np.float32), r"holds float32 \[4, 5\]"),
        (np.zeros((0, LATENT_DIM), np.float32), r"holds float32 \[0, 6\]"),
        (np.array([{}], object), "cannot be read as an .npy file"),
    ],
)
def test_a_calibration_that_does_not_fit_is_refused(tmp_path: Path, rows: Any, said: str) -> None:
    source = generator_file(tmp_path / "in.onnx")
    np.save(tmp_path / "z.npy", rows)
    with pytest.raises(ExportError, match=said):
        quiet(source, tmp_path / "out.onnx", calibration=tmp_path / "z.npy")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("option", ["form", "precision", "kind"])
def test_unknown_choices_are_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(ExportError, match=f"{option} 'ring' is unknown: choose from "):
        quiet(generator_file(tmp_path / "in.onnx"), tmp_path / "out.onnx", **{option: "ring"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"precision": "int8"}, "u8s8 quantizes Conv, Gemm with constant weights, and the graph has none; nothing was"),
        ({"precision": "fp16"}, "no Conv, ConvTranspose, Gemm, MatMul would compute in float16"),
    ],
)
def test_a_precision_that_no_product_would_have_is_refused(tmp_path: Path, options: dict[str, str], said: str) -> None:
    nodes = [helper.make_node("Tanh", ["x"], ["y"], "only")]
    onnx.save(graph_model(nodes, {}, {"x": (FLOAT, ["n", 4])}, {"y": (FLOAT, ["n", 4])}), tmp_path / "in.onnx")
    with pytest.raises(ExportError, match=said):
        quiet(tmp_path / "in.onnx", tmp_path / "out.onnx", **options)
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("op_type", ["RandomNormalLike", "RandomUniformLike", "Bernoulli"])
def test_a_graph_that_draws_random_numbers_is_refused_by_the_node(tmp_path: Path, op_type: str, inside: bool) -> None:
    draws = helper.make_node(op_type, ["t"], ["r"], "dice")
    branch = helper.make_graph([draws], "branch", [], [helper.make_tensor_value_info("r", FLOAT, None)])
    choice = helper.make_node("If", ["yes"], ["r"], "choice", then_branch=branch, else_branch=branch)
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["t"], "between"),
        choice if inside else draws,
        helper.make_node("Add", ["t", "r"], ["y"], "noise"),
    ]
    constants = {"yes": np.array(True)}
    onnx.save(graph_model(nodes, constants, {"x": (FLOAT, ["n", 4])}, {"y": (FLOAT, ["n", 4])}), tmp_path / "in.onnx")
    with pytest.raises(
        ExportError, match=rf"draws random numbers \(node {op_type} 'dice'\), no result can be compared"
    ):
        quiet(tmp_path / "in.onnx", tmp_path / "out.onnx")


@pytest.mark.parametrize("trains", [True, False])
def test_a_dropout_draws_numbers_where_it_trains(tmp_path: Path, trains: bool) -> None:
    nodes = [helper.make_node("Dropout", ["x", "ratio", "trains"], ["y"], "drop")]
    constants = {"ratio": np.array(0.5, np.float32), "trains": np.array(trains)}
    onnx.save(graph_model(nodes, constants, {"x": (FLOAT, ["n", 4])}, {"y": (FLOAT, ["n", 4])}), tmp_path / "in.onnx")
    if trains:
        with pytest.raises(ExportError, match="draws random numbers"):
            quiet(tmp_path / "in.onnx", tmp_path / "out.onnx")
    else:
        assert quiet(tmp_path / "in.onnx", tmp_path / "out.onnx").psnr_db == 100


def test_a_result_that_cannot_be_run_is_said_to_be_the_result(tmp_path: Path) -> None:
    original = Original(generator_file(tmp_path / "in.onnx"), None, list[str]().append)
    with pytest.raises(ParityError, match="the result cannot be run: onnxruntime"):
        original.compare(b"no graph")


def test_a_form_that_changes_the_result_is_refused_whatever_the_floor_is(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ConvTranspose", ["x", "w"], ["u"], "up", strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Mul", ["u", "gain"], ["m"], "chaos"),  # float32 rounds by more than a turn
        helper.make_node("Sin", ["m"], ["y"], "turns"),
    ]
    weights = np.random.default_rng(0).normal(size=(16, 3, 4, 4)).astype(np.float32)
    x, y = {"x": (FLOAT, ["n", 16, 4, 4])}, {"y": (FLOAT, ["n", 3, 8, 8])}
    model = graph_model(nodes, {"w": weights, "gain": np.float32(1e8)}, x, y)
    onnx.save(model, tmp_path / "in.onnx")
    with pytest.raises(ParityError, match=r"form phase changed the result of .*, under 60 dB, whatever --min-psnr is"):
        quiet(tmp_path / "in.onnx", tmp_path / "out.onnx", form="phase", min_psnr_db=0)
    assert not (tmp_path / "out.onnx").exists()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4), kept=st.floats(0, 1)
)
def test_a_damaged_file_is_refused_or_still_a_whole_graph(
    tmp_path: Path, places: list[tuple[float, int]], kept: float
) -> None:
    source, out = tmp_path / "in.onnx", tmp_path / "out.onnx"
    data = bytearray(generator_model().SerializeToString())
    for place, byte in places:
        data[int(place * len(data))] = byte
    source.write_bytes(data[: int(len(data) * kept)] if kept > 0.5 else data)
    out.unlink(missing_ok=True)
    refusal, result = "", None
    try:
        result = quiet(source, out)
    except ExportError as error:
        refusal = str(error)
    assert out.exists() == (result is not None) == (not refusal)
    if result is not None:
        assert result.psnr_db >= 35
        assert np.isfinite(run_file(out, {declared(out)[0].name: Z})[0]).all()
