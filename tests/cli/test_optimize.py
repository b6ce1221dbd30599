"""`ganport optimize`: a faster file of anyone's, its figures, and one line for whatever it cannot take."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.cli.conftest import Ganport
from tests.support.onnx_files import generator_file, generator_model, graph_model, run_file

FLOAT = TensorProto.FLOAT


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return generator_file(tmp_path / "in.onnx")


def test_people_read_what_changed_and_how_near_it_is(ganport: Ganport, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    outcome = ganport("optimize", source, out, "--form", "phase")
    assert outcome.exit_code == 0
    assert outcome.stdout == ""
    assert "Batch norms folded: 2; transposed convolutions replaced: 2." in outcome.stderr
    assert "Compared with the original on 128 latents N(0, 1):" in outcome.stderr
    assert "image: PSNR mean 100.0 dB, worst 100.0 dB relative to the output's range of" in outcome.stderr
    assert outcome.last_line == f"Wrote {out}"
    z = np.ones((2, 6), np.float32)
    np.testing.assert_allclose(run_file(out, {"z": z})[0], run_file(source, {"z": z})[0], atol=1e-5)


def test_json_is_one_document(ganport: Ganport, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    words = ("--form", "phase", "--precision", "int8", "--kind", "s8s8", "--min-psnr", "20", "--json")
    document = ganport("optimize", source, out, *words).document
    asked = {"source": str(source), "out": str(out), "form": "phase", "precision": "int8", "kind": "s8s8"}
    assert {key: document[key] for key in asked} == asked
    assert document["changed"] is True
    assert document["treated"]["transposed_convolutions_replaced"] == 2
    assert document["treated"]["layers_in_int8"] > 0
    assert document["quantization"]["kind"] == "s8s8"
    (output,) = document["outputs"]
    assert output["name"] == "image"
    assert 20 <= output["psnr_db_worst"] <= output["psnr_db_mean"] == document["psnr_db"] < 100
    assert document["inputs"] == "128 latents N(0, 1)"


def test_each_node_that_stays_is_named(ganport: Ganport, tmp_path: Path) -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], "up", strides=[3, 3])
    constants = {"w": np.ones((2, 3, 2, 2), np.float32)}
    onnx.save(
        graph_model([node], constants, {"x": (FLOAT, ["n", 2, 4, 4])}, {"y": (FLOAT, None)}), tmp_path / "in.onnx"
    )
    outcome = ganport("optimize", tmp_path / "in.onnx", tmp_path / "out.onnx", "--form", "phase", "--json")
    assert outcome.exit_code == 0
    assert "Note: transposed convolution 'up' stays as it is: its stride is [3, 3]" in outcome.stderr
    assert "Nothing changed" in outcome.stderr
    assert outcome.document["changed"] is False
    assert "its stride is [3, 3]" in outcome.document["left"][0]
    assert onnx.load(tmp_path / "out.onnx") == onnx.load(tmp_path / "in.onnx")


def test_a_file_that_is_there_is_kept_unless_it_may_go(ganport: Ganport, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    out.write_bytes(b"precious")
    outcome = ganport("optimize", source, out)
    assert (outcome.exit_code, out.read_bytes()) == (1, b"precious")
    assert f"{out} exists: name another file, or pass --overwrite" in outcome.last_line
    assert ganport("optimize", source, out, "--overwrite").exit_code == 0
    onnx.checker.check_model(onnx.load(out))
    before = source.read_bytes()
    link = tmp_path / "link.onnx"
    link.symlink_to(source)
    for same in (source, link):
        outcome = ganport("optimize", source, same, "--overwrite")
        assert outcome.exit_code == 1
        assert "is the file that is read" in outcome.last_line
    assert source.read_bytes() == before


def unknown_operator(path: Path) -> None:
    nodes = [helper.make_node("Foo", ["x"], ["y"], "bar")]
    onnx.save(graph_model(nodes, {}, {"x": (FLOAT, ["n", 2])}, {"y": (FLOAT, None)}), path)


def unknown_domain(path: Path) -> None:
    nodes = [helper.make_node("Foo", ["x"], ["y"], "bar", domain="elsewhere")]
    onnx.save(graph_model(nodes, {}, {"x": (FLOAT, ["n", 2])}, {"y": (FLOAT, None)}, domains=["elsewhere"]), path)


def two_inputs(path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "z"], ["y"], "add")]
    inputs = {name: (FLOAT, ["n", 2]) for name in "xz"}
    onnx.save(graph_model(nodes, {}, inputs, {"y": (FLOAT, None)}), path)


def integers(path: Path) -> None:
    nodes = [helper.make_node("Cast", ["x"], ["y"], "cast", to=FLOAT)]
    onnx.save(graph_model(nodes, {}, {"x": (TensorProto.INT64, ["n", 2])}, {"y": (FLOAT, None)}), path)


def dynamic_size(path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"], "relu")]
    onnx.save(graph_model(nodes, {}, {"x": (FLOAT, ["n", 2, "h", "w"])}, {"y": (FLOAT, None)}), path)


def without_its_weights(path: Path) -> None:
    onnx.save(generator_model(), path, save_as_external_data=True, location="weights", size_threshold=100)
    (path.parent / "weights").unlink()


def with_half_its_weights(path: Path) -> None:
    onnx.save(generator_model(), path, save_as_external_data=True, location="weights", size_threshold=100)
    weights = path.parent / "weights"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])


def weights_from_elsewhere(path: Path) -> None:
    onnx.save(generator_model(), path, save_as_external_data=True, location="weights", size_threshold=100)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../../../etc/passwd"
    path.write_bytes(model.SerializeToString())


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (Path.exists, "cannot be read (No such file or directory)"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "empty": (lambda path: path.write_bytes(b""), "is empty"),
    "text": (lambda path: path.write_text("a generator\n"), "is no ONNX file"),
    "an image": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100)), "is no ONNX file"),
    "cut off": (lambda path: path.write_bytes(generator_model().SerializeToString()[:2000]), "is no ONNX file"),
    "another message": (lambda path: path.write_bytes(helper.make_opsetid("", 3).SerializeToString()), "no ONNX graph"),
    "unknown operator": (unknown_operator, "uses the operator 'Foo' (node 'bar'), which ONNX's opset 17 does not have"),
    "unknown domain": (unknown_domain, "elsewhere:Foo(-1) is not a registered function/op"),
    "two inputs": (two_inputs, "the graph has 2 inputs (x, z): one is wanted"),
    "integers": (integers, "the input 'x' is INT64 [n, 2]: float32 [batch, ...] is wanted"),
    "dynamic size": (dynamic_size, "has sizes beside the batch that are not fixed"),
    "weights missing": (without_its_weights, "has weights that cannot be read"),
    "weights cut off": (with_half_its_weights, "has weights that cannot be read"),
    "weights from elsewhere": (weights_from_elsewhere, "has weights that cannot be read"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line_and_leaves_nothing(ganport: Ganport, tmp_path: Path, name: str) -> None:
    make, said = BAD[name]
    folder = tmp_path / "given"
    folder.mkdir()
    make(folder / "in.onnx")
    outcome = ganport("optimize", folder / "in.onnx", tmp_path / "made" / "out.onnx", "--form", "phase")
    assert outcome.exit_code == 1
    assert len(outcome.stderr.splitlines()) == 1
    assert outcome.stderr.startswith("ganport optimize: ")
    assert said in outcome.stderr
    assert outcome.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["given"]


@pytest.mark.parametrize(
    ("words", "exit_code", "said"),
    [
        (("--form", "dconv"), 2, "--form dconv is unknown: choose from deconv, phase, fused"),
        (("--precision", "bf16"), 2, "--precision bf16 is unknown: choose from fp32, fp16, int8"),
        (("--kind", "u8s8"), 2, "--kind u8s8 is a kind of int8, and --precision is fp32"),
        (("--precision", "int8", "--kind", "s4"), 2, "--kind s4 is unknown: choose from u8s8, s8s8"),
        (("--min-psnr", "nan"), 2, "--min-psnr is no number"),
        (("--precision", "fp16", "--min-psnr", "99.9"), 1, "and --min-psnr is 99.9 dB; nothing was written"),
        (("--calibration", "nowhere.npy"), 1, "nowhere.npy is no file"),
    ],
)
def test_bad_usage_is_one_line(
    ganport: Ganport, source: Path, tmp_path: Path, words: tuple[str, ...], exit_code: int, said: str
) -> None:
    outcome = ganport("optimize", source, tmp_path / "out.onnx", *words)
    assert outcome.exit_code == exit_code
    assert said in outcome.last_line
    assert [path.name for path in tmp_path.iterdir()] == ["in.onnx"]
