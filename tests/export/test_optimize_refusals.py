"""What cannot be optimized is refused with one line, and leaves nothing behind."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ganport_export.errors import ExportError, ParityError
from ganport_export.optimize import Original
from ganport_runtime.latents import latents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from tests.support.onnx_files import LATENT_DIM, generator_file, generator_model, graph_model, run_file
from tests.support.optimizing import declared, quiet

FLOAT = TensorProto.FLOAT
Z = latents(77, 0, 8, LATENT_DIM)


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


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"form": "dconv"}, "form 'dconv' is unknown: choose from deconv, phase, fused"),
        ({"precision": "bf16"}, "precision 'bf16' is unknown: choose from fp32, fp16, int8"),
        ({"kind": "s4"}, "kind 's4' is unknown: choose from u8s8, s8s8"),
    ],
)
def test_unknown_choices_are_refused(tmp_path: Path, option: dict[str, str], said: str) -> None:
    with pytest.raises(ExportError, match=said):
        quiet(generator_file(tmp_path / "in.onnx"), tmp_path / "out.onnx", **option)


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
