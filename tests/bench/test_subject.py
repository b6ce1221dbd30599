"""What is measured: runs and bundles that are given, and the references that their images are held to."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from ganport_bench.baselines import baselines_of
from ganport_bench.comparison import ReferenceImages, choose
from ganport_bench.errors import BenchError
from ganport_bench.subject import BenchSubject, BundleSource, NetworkSource, subject_of
from ganport_export import export_run
from ganport_runtime import Bundle, latents

from tests.bench.random_network import random_network
from tests.support.bundles import Weights, add_probe, make_bundle, make_weights
from tests.support.tiny_run import QUICKEST, make_tiny_bundle, make_tiny_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_run(tmp_path_factory.mktemp("speed-run"))


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bundle(run, tmp_path_factory.mktemp("speed-bundle"))


@pytest.fixture(scope="module")
def network() -> NetworkSource:
    return random_network()


def given(target: Path, bundle: Path | None, folder: Path) -> BenchSubject:
    return subject_of(target, bundle, folder, lambda _step: None)


@pytest.mark.slow
def test_a_bundle_is_measured_without_its_run(bundle: Path, tmp_path: Path) -> None:
    subject = given(bundle, None, tmp_path)
    assert isinstance(subject.source, BundleSource)
    assert subject.to_json() == {
        "run": None,
        "bundle": str(bundle),
        "bundle_digest": Bundle.open(bundle).digest,
        "is_trained": False,
    }


def test_a_run_and_its_bundle_are_taken_as_they_are(run: Path, bundle: Path, tmp_path: Path) -> None:
    subject = given(run, bundle, tmp_path)
    assert (subject.run, subject.bundle) == (run, bundle)
    assert isinstance(subject.source, NetworkSource)
    assert not list(tmp_path.iterdir())


def test_a_bundle_of_another_run_is_refused(bundle: Path, tmp_path: Path) -> None:
    other = make_tiny_run(tmp_path / "other", seed=1)
    with pytest.raises(BenchError, match="was not exported from"):
        given(other, bundle, tmp_path)


@pytest.mark.slow
def test_what_is_not_given_is_made(run: Path, tmp_path: Path) -> None:
    """The whole bundle, every form and precision that the export offers."""
    steps: list[str] = []
    subject = subject_of(run, None, tmp_path, steps.append)
    ids = {variant.id for variant in subject.opened.manifest.variants}
    assert {"generator-deconv-fp32", "generator-phase-fp32", "generator-phase-int8-s8s8"} <= ids
    assert subject.bundle.is_relative_to(tmp_path)
    assert len(steps) == 1


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    for target in (tmp_path, tmp_path / "absent"):
        with pytest.raises(BenchError, match="name a bundle"):
            given(target, None, tmp_path)


@pytest.mark.parametrize(("training", "is_trained"), [({"steps": 99}, False), ({"steps": 100}, True), ({}, True)])
def test_images_mean_something_after_some_steps_or_where_nothing_is_known(
    bundle: Path, tmp_path: Path, training: dict[str, int], is_trained: bool
) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy.ganport"))
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    (copy / "manifest.json").write_text(json.dumps({**manifest, "training": training}))
    assert given(copy, None, tmp_path).is_trained is is_trained


# ---- a bundle alone


@pytest.fixture(scope="module")
def weights() -> Weights:
    return make_weights()


@pytest.fixture
def small(tmp_path: Path, weights: Weights) -> Path:
    return add_probe(make_bundle(tmp_path / "tiny.ganport", weights), weights)


def test_the_reference_is_the_fp32_variant_compared_with_the_probe(small: Path, weights: Weights) -> None:
    source = BundleSource.of_bundle(small)
    z, pixels = source.reference(seed=4, count=70)
    np.testing.assert_array_equal(z, latents(4, 0, 70, 12))
    assert np.abs(pixels - weights.images(z)).max() < 0.51
    assert source.standard.startswith("generator-deconv-fp32 by onnxruntime on cpu; ")
    assert "generator-deconv-fp32 (batch norm folded)" in source.stock_note


def test_a_bundle_whose_fp32_is_not_the_network_is_no_reference(tmp_path: Path, weights: Weights) -> None:
    """One that the runtime would still let pass: 50 dB or more, and no pixel off by more than 2."""
    bundle = make_bundle(tmp_path / "off.ganport", weights)
    z = np.random.default_rng(1).standard_normal((3, 12), np.float32)
    image = np.round(weights.images(z)).astype(np.uint8)
    image[:, ::2] -= (image[:, ::2] > 0).astype(np.uint8)
    add_probe(bundle, weights, z=z, image=image)
    with pytest.raises(BenchError, match="export it again"):
        BundleSource.of_bundle(bundle).reference(seed=4, count=1)


@pytest.mark.slow
def test_of_baselines_those_that_take_a_graph_run_and_the_others_say_what_to_give(tmp_path: Path) -> None:
    run = make_tiny_run(tmp_path)
    export_run(run, tmp_path / "tiny.ganport", forms=("deconv",), precisions=("fp32",))
    source = BundleSource.of_bundle(tmp_path / "tiny.ganport")
    wanted = ReferenceImages(*source.reference(seed=1, count=8))
    np.testing.assert_array_equal(wanted.pixels, NetworkSource.of_run(run).reference(seed=1, count=8)[1])
    found = {one.name: one for one in baselines_of(source)}
    chosen = choose(found["ONNX Runtime"], 8, wanted, QUICKEST)
    chosen.session.close()
    assert not chosen.check.wrong
    for name in ("PyTorch, eager", "PyTorch, bf16 autocast"):
        with pytest.raises(BenchError, match="ganport bench RUN --bundle "):
            choose(found[name], 8, wanted, QUICKEST)


# ---- a network


def test_the_reference_is_the_network_in_float64(network: NetworkSource) -> None:
    z, pixels = network.reference(seed=4, count=6)
    np.testing.assert_array_equal(z, latents(4, 0, 6, 5))
    with torch.no_grad():
        values = NetworkSource(network.network, 5).module().double().network(torch.from_numpy(z).double()).numpy()  # type: ignore[operator]
    expected = np.clip(np.rint((values + 1) * 127.5), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.std() > 10  # a picture, not one color


def test_a_module_is_a_copy_that_may_be_changed(network: NetworkSource) -> None:
    before = network.reference(seed=4, count=2)[1]
    module = network.module()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(network.reference(seed=4, count=2)[1], before)
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_the_stock_export_is_one_file_that_takes_any_batch(network: NetworkSource) -> None:
    model = onnx.load(io.BytesIO(network.stock_export), load_external_data=False)
    assert not any(weight.data_location == onnx.TensorProto.EXTERNAL for weight in model.graph.initializer)
    assert {node.op_type for node in model.graph.node} >= {"ConvTranspose", "BatchNormalization"}, "nothing is folded"
    session = onnxruntime.InferenceSession(network.stock_export, providers=["CPUExecutionProvider"])
    z, pixels = network.reference(seed=9, count=7)
    for count in (1, 7):
        (made,) = session.run(["image"], {"z": z[:count]})
        assert made.dtype == np.uint8
        assert np.abs(made.astype(int) - pixels[:count]).max() <= 1
