"""What cannot be optimized is refused with one line, and leaves nothing behind."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ganport_export.errors import ExportError
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
