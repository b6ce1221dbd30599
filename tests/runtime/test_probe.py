"""The probe: a plan that makes wrong images is refused by name before it makes any, and a pass is remembered."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import Bundle, BundleError, Discriminator, Generator, PlanError
from ganport_runtime.backends.onnxruntime import OnnxRuntimeSession
from ganport_runtime.backends.openvino import OpenVinoSession
from ganport_runtime.differences import Difference, compare
from ganport_runtime.self_test import image_fault, logit_fault

from tests.support.bundles import (
    Weights,
    add_probe,
    generator_graph,
    make_variety,
    make_weights,
    read_manifest,
    write_manifest,
    write_variant,
)
from tests.support.records import ONNXRUNTIME, OPENVINO, speeds, write_record


@pytest.fixture
def probed(own_bundle: Path, weights: Weights) -> Path:
    return add_probe(own_bundle, weights)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch of every run of an onnxruntime session from now on."""
    batches: list[int] = []
    run = OnnxRuntimeSession.run

    def noted(self: OnnxRuntimeSession, outputs: Any, inputs: Any) -> Any:
        batches.append(len(next(iter(inputs.values()))))
        return run(self, outputs, inputs)

    monkeypatch.setattr(OnnxRuntimeSession, "run", noted)
    return batches


def other_graph(path: Path, precision: str = "fp32", form: str = "deconv") -> None:
    """Replace a variant by one of other weights, digest and all: what a miscompiled engine would run."""
    replaced = write_variant(path, "generator", generator_graph(make_weights(seed=5)), precision=precision, form=form)
    document = read_manifest(path)
    for variant in document["variants"]:
        if variant["id"] == replaced.id:
            variant["sha256"] = replaced.sha256
    write_manifest(path, document)


def test_a_pass_is_remembered_and_costs_nothing_later(probed: Path, cache: Path, runs: list[int]) -> None:
    for _ in range(3):
        with Generator.open(probed, device="cpu", backend="onnxruntime") as generator:
            assert "probe" not in generator.plan.note
    assert runs == [3]
    with Generator.open(probed, device="cpu", backend="onnxruntime", threads=1):
        assert runs == [3, 3]  # another plan
    with Discriminator.open(probed, device="cpu", backend="onnxruntime"):
        assert runs == [3, 3, 3]
    assert len(list((cache / "probes").iterdir())) == 3


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch of every run of an openvino session from now on."""
    batches: list[int] = []
    run = OpenVinoSession.run

    def noted(self: OpenVinoSession, outputs: Any, inputs: Any) -> Any:
        batches.append(len(next(iter(inputs.values()))))
        return run(self, outputs, inputs)

    monkeypatch.setattr(OpenVinoSession, "run", noted)
    return batches


@pytest.mark.slow
def test_a_model_for_each_bucket_is_probed_at_each(probed: Path, cache: Path, sizes: list[int]) -> None:
    for _ in range(2):
        Generator.open(probed, backend="openvino").close()
    assert sizes == [4, 64, 32, 16, 8, 4, 2, 1]
    assert len(list((cache / "probes").iterdir())) == 8


def test_what_is_wrong_at_one_bucket_alone_is_refused_there(
    variety: Path, weights: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_probe(variety, weights, logit=None)
    write_record(variety, speeds(OPENVINO, b64=300.0, b16=300.0, b8=300.0), ONNXRUNTIME)
    run = OpenVinoSession.run

    def zeros_at_16(self: OpenVinoSession, outputs: Any, inputs: Any) -> Any:
        results = run(self, outputs, inputs)
        return [np.zeros_like(result) for result in results] if len(results[0]) == 16 else results

    monkeypatch.setattr(OpenVinoSession, "run", zeros_at_16)
    with Generator.open(variety, one_plan=False) as generator:
        plans = generator.plans
    assert (plans[64].backend, plans[8].backend, plans[16].backend) == ("openvino", "openvino", "onnxruntime")
    wanted = "instead of generator-phase-fp32 by openvino on cpu, precision_hint f32, threads 1: it fails the bundle's"
    assert f"{wanted} probe at batch 16: PSNR mean " in plans[16].note
    assert "instead of" not in plans[64].note
    assert any("probe at batch 16" in str(refusal) for refusal in plans[64].refusals)


def test_a_changed_bundle_is_probed_again(probed: Path, cache: Path, weights: Weights, runs: list[int]) -> None:
    Generator.open(probed, device="cpu", backend="onnxruntime")
    add_probe(probed, weights, images=2)
    Generator.open(probed, device="cpu", backend="onnxruntime")
    assert runs == [3, 2]


def test_logits_that_a_probe_lacks_are_said_to_be_unchecked(own_bundle: Path, weights: Weights) -> None:
    add_probe(own_bundle, weights, logit=None)
    with Discriminator.open(own_bundle) as discriminator:
        assert "the bundle's probe has no logits" in discriminator.plan.note


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_wrong_images_are_refused_by_name_with_figures(probed: Path, backend: str) -> None:
    other_graph(probed)
    with pytest.raises(PlanError) as caught:
        Generator.open(probed, backend=backend)
    line = str(caught.value)
    assert "\n" not in line
    assert f"nothing here can run the generator of {probed}: generator-deconv-fp32 by {backend} on cpu" in line
    assert "was asked for" not in line
    assert "it fails the bundle's probe: PSNR mean " in line
    assert "over 3 images, wanted mean 50.0 dB, worst 50.0 dB, largest difference 2 of fp32" in line


def test_wrong_logits_are_refused_by_name(own_bundle: Path, weights: Weights) -> None:
    add_probe(own_bundle, weights, logit=np.zeros(3, np.float32))
    with pytest.raises(
        PlanError, match=r"it fails the bundle's probe: logits differ by .* wanted 0.002 at most of fp32"
    ):
        Discriminator.open(own_bundle)
    with Generator.open(own_bundle) as generator:
        assert generator.sample(1).shape == (1, 16, 16, 3)


def test_the_next_candidate_takes_the_place_of_one_that_fails(tmp_path: Path, weights: Weights) -> None:
    path = add_probe(make_variety(tmp_path / "variety.ganport", weights), weights, logit=None)
    other_graph(path)
    with Generator.open(path, backend="onnxruntime") as generator:
        assert generator.plan.variant == "generator-phase-fp32"
        refused = [str(refusal) for refusal in generator.plan.refusals]
    assert any("generator-deconv-fp32 by onnxruntime on cpu: it fails the bundle's probe" in line for line in refused)


@pytest.mark.slow
def test_int8_is_held_to_what_it_promises(tmp_path: Path, weights: Weights) -> None:
    promised = {"psnr_db_mean": 60.0, "psnr_db_worst": 58.0}
    path = add_probe(make_variety(tmp_path / "a.ganport", weights, fidelity=promised), weights, logit=None)
    with pytest.raises(PlanError, match=r"wanted mean 54.0 dB, worst 52.0 dB of int8"):
        Generator.open(path, precision="int8")
    promised = {"psnr_db_mean": 33.0, "psnr_db_worst": 28.0}  # of a processor whose sums of products saturate
    path = add_probe(make_variety(tmp_path / "b.ganport", weights, fidelity=promised), weights, logit=None)
    for backend in ("onnxruntime", "openvino"):
        with Generator.open(path, precision="int8", backend=backend) as generator:
            assert generator.plan.precision == "int8"


def figures(mean: float, worst: float, largest: int) -> Difference:
    return Difference(mean, worst, largest, 0.5, 4)


@pytest.mark.parametrize(
    ("found", "precision", "fidelity", "passes"),
    [
        (figures(60, 55, 2), "fp32", {}, True),
        (figures(60, 55, 3), "fp32", {}, False),
        (figures(60, 49, 1), "fp32", {}, False),
        (figures(33, 33, 9), "fp32", {"psnr_db_mean": 20, "psnr_db_worst": 20}, False),
        (figures(22, 20, 90), "int8", {"psnr_db_mean": 42, "psnr_db_worst": 38}, False),
        (figures(37, 33, 90), "int8", {"psnr_db_mean": 42, "psnr_db_worst": 38}, True),
        (figures(37, 31, 90), "int8", {"psnr_db_mean": 42, "psnr_db_worst": 38}, False),
        (figures(29, 23, 90), "int8", {}, True),
        (figures(45, 40, 20), "bf16", {"psnr_db_mean": 100, "psnr_db_worst": 100}, True),
        (figures(12, 9, 200), "bf16", {}, False),
        (figures(45, 40, 9), "fp16", {}, True),
        (figures(39, 36, 9), "fp16", {}, False),
        (figures(45, 40, 9), "unknown", {}, False),
    ],
)
def test_floors_are_those_of_what_really_runs(
    found: Difference, precision: str, fidelity: dict[str, float], passes: bool
) -> None:
    assert (image_fault(found, precision, fidelity) is None) is passes


def test_logits_that_are_no_numbers_are_refused() -> None:
    assert logit_fault(float("nan"), "int8") is not None
    assert logit_fault(1e-3, "fp32") is None


def test_differences_are_computed_by_image() -> None:
    reference = np.zeros((2, 2, 2, 3), np.uint8)
    images = reference.copy()
    images[1, 0, 0, 0] = 12  # a mean square of 12 in this image
    found = compare(images, reference)
    assert found.psnr_db_worst == pytest.approx(10 * np.log10(255**2 / 12))
    assert found.psnr_db_mean == pytest.approx((100 + 10 * np.log10(255**2 / 12)) / 2)
    assert (found.largest_difference, found.share_off, found.images) == (12, 1 / 24, 2)
    assert compare(reference, reference + np.uint8(255)).psnr_db_mean == pytest.approx(0)


PROBES: list[tuple[dict[str, Any], str]] = [
    ({"z": np.zeros((3, 11), np.float32)}, "z is float32 [3, 11], wanted float32 [3, 12]"),
    ({"z": np.zeros((3, 12))}, "z is float64"),
    ({"z": np.full((3, 12), np.nan, np.float32)}, "z holds NaN or infinity"),
    ({"z": None}, "'z'"),
    ({"image": np.zeros((2, 16, 16, 3), np.uint8)}, "image is uint8 [2, 16, 16, 3], wanted"),
    ({"image": np.zeros((3, 16, 16, 3), np.int16)}, "image is int16"),
    ({"logit": np.full(3, np.inf, np.float32)}, "logit holds NaN or infinity"),
    ({"logit": np.zeros((3, 1), np.float32)}, "logit is float32 [3, 1], wanted float32 [3]"),
    ({"other": np.zeros(3)}, "'other'"),
    ({"z": np.array([{}] * 3, object)}, "allow_pickle=False"),
]


@pytest.mark.parametrize(("replaced", "message"), PROBES)
def test_a_probe_of_other_content_is_no_probe(
    own_bundle: Path, weights: Weights, replaced: dict[str, Any], message: str
) -> None:
    add_probe(own_bundle, weights, **replaced)
    with pytest.raises(BundleError) as caught:
        Generator.open(own_bundle)
    assert "probe.npz is damaged: " in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_probe_that_unpacks_to_more_than_memory_is_refused(own_bundle: Path, weights: Weights) -> None:
    import hashlib

    with zipfile.ZipFile(own_bundle / "probe.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("z.npy", bytes(300 * 2**20))
    document = read_manifest(own_bundle)
    digest = hashlib.sha256((own_bundle / "probe.npz").read_bytes()).hexdigest()
    document["probe"] = {"file": "probe.npz", "sha256": digest, "images": 3}
    write_manifest(own_bundle, document)
    with pytest.raises(BundleError, match="unpacks to more than"):
        Generator.open(own_bundle)


def test_an_altered_probe_is_refused(probed: Path) -> None:
    data = bytearray((probed / "probe.npz").read_bytes())
    data[100] ^= 1
    (probed / "probe.npz").write_bytes(data)
    with pytest.raises(BundleError, match=r"probe.npz was altered"):
        Bundle.open(probed).verify()
    with pytest.raises(BundleError, match=r"probe.npz was altered"):
        Generator.open(probed)
