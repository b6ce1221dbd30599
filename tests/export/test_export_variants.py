"""Every form and precision of a run: what is shipped with which figures, what is left out, and that it is said."""

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ganport_cli.app import run as ganport
from ganport_export import ExportError, export_run
from ganport_runtime import Bundle, latents
from ganport_runtime.backends import load_backend
from ganport_runtime.differences import compare
from ganport_runtime.manifest import Variant
from ganport_runtime.self_test import read_probe
from numpy.typing import NDArray
from PIL import Image

from tests.export.conftest import ExportModule

pytestmark = pytest.mark.slow

REFERENCE = "generator-deconv-fp32"
VARIANTS = [
    REFERENCE,
    "generator-deconv-fp16",
    "generator-deconv-int8-s8s8",
    "generator-phase-fp32",
    "generator-phase-fp16",
    "generator-phase-int8-s8s8",
    "generator-fused-fp32",
    "generator-fused-int8-u8s8",
    "discriminator-conv-fp32",
]


@pytest.fixture(scope="module")
def notes() -> list[str]:
    return []


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory, notes: list[str]) -> Bundle:
    out = tmp_path_factory.mktemp("bundles") / "tiny.ganport"
    export_run(run, out, observer=notes.append)
    return Bundle.open(out)


def by_id(bundle: Bundle) -> Mapping[str, Variant]:
    return {variant.id: variant for variant in bundle.manifest.variants}


def generators(bundle: Bundle) -> list[Variant]:
    return list(bundle.variants("generator"))


def images_of(bundle: Bundle, variant: Variant, z: NDArray[np.float32]) -> NDArray[np.uint8]:
    session = load_backend("onnxruntime").open(bundle.read(variant), entry=variant, device="cpu", threads=1)
    return session.run(("image",), {"z": z})[0]


def test_an_export_yields_every_form_and_precision_without_a_word(bundle: Bundle, notes: list[str]) -> None:
    assert [variant.id for variant in bundle.manifest.variants] == VARIANTS
    assert notes == []
    bundle.verify()
    assert len({variant.sha256 for variant in bundle.manifest.variants}) == len(VARIANTS)


def test_fp32_is_the_network_and_the_rest_is_measured_against_it(bundle: Bundle) -> None:
    for variant in generators(bundle):
        assert bool(variant.parity) == (variant.precision == "fp32")
        figures = variant.fidelity
        assert (figures["images"], figures["reference"]) == (1024, REFERENCE)
        assert 35 <= figures["psnr_db_mean"] <= 100
        assert figures["psnr_db_worst"] <= figures["psnr_db_mean"]
        if variant.precision == "fp32":
            assert variant.parity["largest_difference"] <= 1
            assert figures["largest_difference"] <= 1
    assert by_id(bundle)[REFERENCE].fidelity["psnr_db_mean"] == 100
    assert by_id(bundle)["discriminator-conv-fp32"].fidelity == {}
    int8, fp16 = (by_id(bundle)[name].fidelity for name in ("generator-fused-int8-u8s8", "generator-phase-fp16"))
    assert int8["psnr_db_mean"] < fp16["psnr_db_mean"] < 100


def test_figures_are_those_of_the_files(bundle: Bundle) -> None:
    """Measured anew, from the files alone."""
    for variant in generators(bundle):
        z = latents(variant.fidelity["seed"], 0, variant.fidelity["images"], 10)
        found = compare(images_of(bundle, variant, z), images_of(bundle, by_id(bundle)[REFERENCE], z))
        for name, figure in dataclasses.asdict(found).items():
            assert variant.fidelity[name] == pytest.approx(figure), (variant.id, name)


def test_every_variant_has_the_signature_and_the_precision_that_it_is_called_by(bundle: Bundle) -> None:
    for variant in generators(bundle):
        model = onnx.load_from_string(bundle.read(variant))
        onnx.checker.check_model(model, full_check=True)
        ((z,), (image,)) = model.graph.input, model.graph.output
        assert (z.name, z.type.tensor_type.elem_type) == ("z", onnx.TensorProto.FLOAT)
        assert (image.name, image.type.tensor_type.elem_type) == ("image", onnx.TensorProto.UINT8)
        weights = {tensor.data_type for tensor in model.graph.initializer if len(tensor.dims) == 4}
        wanted = {"fp32": {onnx.TensorProto.FLOAT}, "fp16": {onnx.TensorProto.FLOAT16}, "int8": {onnx.TensorProto.INT8}}
        assert weights == wanted[variant.precision]
        operators = {node.op_type for node in model.graph.node}
        assert ("ConvTranspose" in operators) == (variant.form == "deconv")


def test_the_manifest_says_how_int8_and_fp16_were_made(bundle: Bundle) -> None:
    assert {"int8", "fp16"} <= {variant.precision for variant in generators(bundle)}
    for variant in generators(bundle):
        if variant.precision == "int8":
            said = variant.details["quantization"]
            assert variant.id.endswith(said["kind"])
            assert said["range_method"] in said["tried"]
            assert said["tried"][said["range_method"]] == max(said["tried"].values())
            assert said["target_psnr_db"] == 40
            assert said["calibration_images"] == 256
            assert said["calibration_seed"] != variant.fidelity["seed"]
            assert said["kept_float"] == [name for step in said["kept_float_steps"] for name in step["layers"]]
        elif variant.precision == "fp16":
            assert "round_0" in variant.details["half"]["kept_float32"]


def test_a_strip_for_the_eye_lies_beside_every_variant_but_the_reference(bundle: Bundle) -> None:
    strips = {path.stem: path for path in (bundle.path / "fidelity").iterdir()}
    assert sorted(strips) == sorted(variant.id for variant in generators(bundle) if variant.id != REFERENCE)
    variant = by_id(bundle)["generator-phase-int8-s8s8"]
    with Image.open(strips[variant.id]) as opened:
        sheet = np.asarray(opened)
    assert sheet.shape == (3 * 16 + 2 * 2, 8 * 16 + 7 * 2, 3)
    z = latents(variant.fidelity["seed"], 0, 8, 10)
    assert np.array_equal(sheet[:16, 18:34], images_of(bundle, by_id(bundle)[REFERENCE], z)[1])
    assert np.array_equal(sheet[18:34, 18:34], images_of(bundle, variant, z)[1])


def test_the_runtime_reads_the_probe_and_every_variant_passes_it(bundle: Bundle) -> None:
    probe = read_probe(bundle)
    assert probe is not None
    assert probe.logit is not None
    for variant in generators(bundle):
        assert compare(images_of(bundle, variant, probe.z), probe.image).psnr_db_mean > 35


def test_exporting_in_another_process_gives_the_same_graphs(run: Path, bundle: Bundle, tmp_path: Path) -> None:
    code = "import sys, pathlib, ganport_export as e; e.export_run(*map(pathlib.Path, sys.argv[1:]))"
    environment = {**os.environ, "PYTHONHASHSEED": "123", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(run), str(tmp_path / "b")]
    result = subprocess.run(command, check=True, env=environment, capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("", "")  # nor does PyTorch's exporter chatter
    again = Bundle.open(tmp_path / "b").manifest
    assert [variant.sha256 for variant in again.variants] == [v.sha256 for v in bundle.manifest.variants]
    assert again.probe == bundle.manifest.probe


def test_a_variant_below_the_floor_is_left_out_and_the_rest_is_a_bundle(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(run), "--out", str(tmp_path / "b"), "--forms", "phase", "--precisions", "int8,fp32"]
    assert ganport([*command, "--min-psnr", "90", "--json"]) == 0
    printed = capsys.readouterr()
    document = json.loads(printed.out)
    assert [variant["id"] for variant in document["variants"]] == ["generator-phase-fp32", "discriminator-conv-fp32"]
    (note,) = document["notes"]
    assert f"Note: {note}" in printed.err
    assert note.startswith("generator-phase-int8-s8s8 is not in the bundle: PSNR ")
    assert "the floor is 90 dB (--min-psnr)" in note
    assert not (tmp_path / "b" / "fidelity").exists()
    Bundle.open(tmp_path / "b").verify()


def test_forms_that_change_nothing_are_left_out_with_the_reason(export: ExportModule) -> None:
    notes: list[str] = []
    manifest = export("SubPixel", forms=("deconv", "phase"), observer=notes.append)
    assert [variant.id for variant in manifest.variants] == [REFERENCE]
    assert notes == [
        "form phase is left out, the graph would be the same: the network has no transposed convolution of stride 2"
    ]


def test_a_form_that_can_be_made_of_a_part_says_of_which(export: ExportModule) -> None:
    """Its first transposed convolution makes 4x4 of one pixel, at stride 1."""
    notes: list[str] = []
    manifest = export("Gray", forms=("deconv", "phase"), observer=notes.append)
    assert [variant.id for variant in manifest.variants] == [REFERENCE, "generator-phase-fp32"]
    (note,) = notes
    assert note.startswith("form phase: transposed convolution 'conv_transpose_0' stays as it is: ")


def test_a_precision_that_no_form_comes_in_is_named(export: ExportModule) -> None:
    notes: list[str] = []
    manifest = export("SubPixel", forms=("fused",), precisions=("fp32", "fp16"), observer=notes.append)
    assert [variant.id for variant in manifest.variants] == ["generator-fused-fp32"]
    assert notes == ["no graph is made in fp16: the form fused does not come in it"]


def test_where_no_form_is_left_there_is_no_bundle(export: ExportModule, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no graph is left in the forms phase: export the form deconv"):
        export("SubPixel", forms=("phase",), observer=lambda _: None)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["Residual", "Modulated", "PreActivation"])
def test_anyones_network_in_every_precision(export: ExportModule, name: str) -> None:
    manifest = export(name, forms=("deconv", "fused"), precisions=("fp32", "fp16", "int8"), observer=lambda _: None)
    for variant in manifest.variants:
        assert variant.fidelity["psnr_db_mean"] >= 35
    assert {"generator-deconv-fp16", "generator-deconv-int8-s8s8"} <= {variant.id for variant in manifest.variants}


def test_engines_are_built_of_what_fits_and_the_rest_is_named(run: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    choices: dict[str, Any] = {"forms": ("deconv", "fused"), "precisions": ("fp32",)}
    lines: list[str] = []
    observers: dict[str, Any] = {"observer": notes.append, "progress": lines.append}
    manifest = export_run(run, tmp_path / "b", engines=("tensorrt-rtx",), **choices, **observers)
    (engine,) = manifest.engines
    assert (engine.variant, engine.library) == (REFERENCE, "tensorrt_rtx")
    assert notes == ["no engine of generator-fused-fp32: the form fused is for CPUs"]
    assert any(REFERENCE in line and "tensorrt_rtx" in line for line in lines)
    assert (tmp_path / "b" / engine.file).stat().st_size > 1000
    Bundle.open(tmp_path / "b").verify()
