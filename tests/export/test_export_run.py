"""From a run directory to a bundle: what it holds, that it repeats, and that a graph over the gate is none."""

import json
import math
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from ganport_export import ExportError, ParityError, export_run
from ganport_export.errors import quiet
from ganport_export.generator import GENERATOR_GATES, generator_graphs
from ganport_export.inputs import GeneratorInputs
from ganport_export.session import OnnxSession, image_maker
from ganport_export.variants import ExportChoices
from ganport_runtime import Bundle, Discriminator, Generator, latents
from ganport_runtime.manifest import ImageInfo, Manifest
from ganport_train.checkpoints import LoadedNetworks, load_networks
from ganport_train.errors import CheckpointError
from PIL import Image

from tests.export.user_networks import randomize

GENERATOR, DISCRIMINATOR = "generator-deconv-fp32", "discriminator-conv-fp32"
FP32: dict[str, Any] = {"forms": ("deconv",), "precisions": ("fp32",)}


@pytest.fixture(scope="module")
def notes() -> list[str]:
    return []


@pytest.fixture(scope="module")
def bundle(run: Path, tmp_path_factory: pytest.TempPathFactory, notes: list[str]) -> Bundle:
    out = tmp_path_factory.mktemp("bundles") / "tiny.ganport"
    export_run(run, out, observer=notes.append, **FP32)
    return Bundle.open(out)


@pytest.fixture(scope="module")
def networks(run: Path) -> LoadedNetworks:
    return load_networks(run)


def graph(bundle: Bundle, name: str) -> onnx.ModelProto:
    return onnx.load(bundle.path / f"{name}.onnx")


def declared(values: Any) -> Mapping[str, tuple[str, list[int | str]]]:
    return {
        value.name: (
            onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type),
            [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim],
        )
        for value in values
    }


def test_bundle_holds_what_its_manifest_says(bundle: Bundle) -> None:
    assert sorted(path.name for path in bundle.path.iterdir()) == [
        f"{DISCRIMINATOR}.onnx",
        f"{GENERATOR}.onnx",
        "manifest.json",
        "probe.npz",
        "samples.png",
    ]
    bundle.verify()
    assert [path.name for path in bundle.path.parent.iterdir()] == ["tiny.ganport"]


def test_manifest_says_where_the_bundle_comes_from(bundle: Bundle, networks: LoadedNetworks) -> None:
    manifest = bundle.manifest
    assert manifest.name == "tiny"
    assert abs((datetime.now(UTC) - datetime.fromisoformat(manifest.created)).total_seconds()) < 3600
    assert manifest.toolchain["torch"] == torch.__version__
    assert manifest.toolchain["onnx"] == onnx.__version__
    origin = {"settings": networks.config.to_json(), "steps": networks.step, "data_digest": networks.data_digest}
    assert manifest.training.items() >= {**origin, "weights": "ema"}.items()
    assert (manifest.generator.latent.dim, manifest.generator.latent.distribution) == (10, "normal")
    assert manifest.generator.image == ImageInfo(16, 16, 3)
    assert manifest.discriminator is not None
    assert manifest.discriminator.image == ImageInfo(16, 16, 3)
    assert manifest.discriminator.features.dim == networks.discriminator.feature_dim
    assert manifest.discriminator.features.pooling == "max 4x4"
    assert manifest.engines == ()
    assert [(v.id, v.role, v.form, v.precision) for v in manifest.variants] == [
        (GENERATOR, "generator", "deconv", "fp32"),
        (DISCRIMINATOR, "discriminator", "conv", "fp32"),
    ]


def test_parity_figures_are_within_their_gates(bundle: Bundle) -> None:
    generator, discriminator = (variant.parity for variant in bundle.manifest.variants)
    assert generator["largest_difference"] <= 1
    assert generator["psnr_db"] >= 55
    assert 0 <= generator["share_off"] < 0.01
    assert generator["batches"] == discriminator["batches"] == [1, 2, 7, 64]
    assert len(set(generator["seeds"])) >= 2
    assert generator["images"] == len(generator["seeds"]) * (1 + 2 + 7 + 64)
    assert 0 < discriminator["logit_error"] < 1e-3
    assert 0 < discriminator["features_error"] < 1e-3


def test_graphs_are_the_networks_and_their_pixels_alone(bundle: Bundle, notes: list[str]) -> None:
    assert notes == []
    generator, discriminator = (
        [n.op_type for n in graph(bundle, name).graph.node] for name in (GENERATOR, DISCRIMINATOR)
    )
    network = ["Gemm", "Reshape", "Relu", "ConvTranspose", "Relu", "ConvTranspose", "Tanh"]
    assert generator == [*network, "Add", "Mul", "Round", "Clip", "Transpose", "Cast"]
    assert discriminator[0] == "Cast"
    assert "BatchNormalization" not in discriminator


def test_signatures_are_those_of_the_architecture(bundle: Bundle, networks: LoadedNetworks) -> None:
    generator, discriminator = (graph(bundle, name).graph for name in (GENERATOR, DISCRIMINATOR))
    image = ("UINT8", ["batch", 16, 16, 3])
    assert declared(generator.input) == {"z": ("FLOAT", ["batch", 10])}
    assert declared(generator.output) == {"image": image}
    assert declared(discriminator.input) == {"image": image}
    features = ("FLOAT", ["batch", networks.discriminator.feature_dim])
    assert declared(discriminator.output) == {"logit": ("FLOAT", ["batch"]), "features": features}


def test_graphs_are_valid_opset_18_with_their_weights_inside(bundle: Bundle) -> None:
    for name in (GENERATOR, DISCRIMINATOR):
        model = graph(bundle, name)
        onnx.checker.check_model(model, full_check=True)
        assert [(item.domain, item.version) for item in model.opset_import] == [("", 18)]
        assert not any(tensor.external_data for tensor in model.graph.initializer)
        text = model.SerializeToString()
        assert b"/" + b"site-packages" not in text
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_runtime_makes_the_networks_own_images(bundle: Bundle, networks: LoadedNetworks) -> None:
    z = latents(7, 100, 5, 10)
    with torch.no_grad():
        wanted = (networks.generator(torch.from_numpy(z)).permute(0, 2, 3, 1).numpy() + 1) * 127.5
    with Generator.open(bundle.path) as generator:
        assert np.abs(generator(z) - wanted).max() <= 0.5 + 1e-3


def test_runtime_scores_as_the_network_does(bundle: Bundle, networks: LoadedNetworks) -> None:
    images = np.random.default_rng(9).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    values = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        logits, features = networks.discriminator.logit_and_features(values)
    with Discriminator.open(bundle.path) as discriminator:
        np.testing.assert_allclose(discriminator.score(images), logits.numpy(), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(discriminator.embed(images), features.numpy(), rtol=1e-4, atol=1e-4)


def test_samples_are_the_first_images_of_seed_0(bundle: Bundle) -> None:
    sheet = np.asarray(Image.open(bundle.path / "samples.png"))
    assert sheet.shape == (8 * 16, 8 * 16, 3)
    with Generator.open(bundle.path) as generator:
        images = generator.sample(64, seed=0)
    np.testing.assert_array_equal(sheet[16:32, 32:48], images[8 + 2])


def digests(manifest: Manifest) -> list[str]:
    return [variant.sha256 for variant in manifest.variants]


@pytest.mark.slow
def test_other_checkpoints_and_weights_make_other_graphs(run: Path, bundle: Bundle, tmp_path: Path) -> None:
    first = export_run(run, tmp_path / "first", checkpoint="step-000002", **FP32)
    raw = export_run(run, tmp_path / "raw", checkpoint="step-000002", weights="raw", name="raw one", **FP32)
    assert (first.training["steps"], first.training["weights"]) == (2, "ema")
    assert (raw.training["steps"], raw.training["weights"], raw.name) == (2, "raw", "raw one")
    assert raw == Bundle.open(tmp_path / "raw").manifest
    assert digests(first)[0] != digests(raw)[0]
    assert digests(first)[1] == digests(raw)[1]
    state = json.loads((run / "checkpoints" / "step-000002" / "state.json").read_text())
    assert first.training["scores"] == state["scores"]


@pytest.mark.slow
@pytest.mark.parametrize(("kernel", "activation", "channels"), [(5, "leaky_relu", 1), (4, "relu", 3)])
def test_networks_with_statistics_far_from_neutral_keep_to_the_gate(
    kernel: int, activation: Any, channels: int
) -> None:
    from ganport_train.networks import DcganGenerator as Network

    network = Network(resolution=32, channels=channels, width=4, kernel=kernel, latent_dim=10, activation=activation)
    randomize(network).requires_grad_(False)
    choices, image = ExportChoices(precisions=("fp32",)), ImageInfo(32, 32, channels)
    made = generator_graphs(network, GeneratorInputs(10), image, choices, pytest.fail, quiet)
    assert [graph.id for graph in made] == [f"generator-{form}-fp32" for form in ("deconv", "phase", "fused")]
    for graph in made:
        assert graph.parity["largest_difference"] <= GENERATOR_GATES["fp32"].largest_difference
        assert image_maker(graph.data)({"z": latents(0, 0, 8, 10)}).std() > 5


@pytest.mark.slow
def test_a_graph_over_the_gate_is_no_bundle(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image goes through the real graph with its largest weight tensor 5 % too large."""
    opened = OnnxSession.__init__

    def open_damaged(self: OnnxSession, data: bytes, threads: int | None = None) -> None:
        model = onnx.load_from_string(data)
        tensor = max(model.graph.initializer, key=lambda item: len(item.raw_data))
        values = onnx.numpy_helper.to_array(tensor).copy()
        values *= np.float32(1.05)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        opened(self, model.SerializeToString(), threads)

    monkeypatch.setattr(OnnxSession, "__init__", open_damaged)
    with pytest.raises(ParityError, match=f"{GENERATOR} is no faithful export: .*the limit is"):
        export_run(run, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_discriminator_over_the_gate_is_no_bundle(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call = OnnxSession.__call__

    def damaged(self: OnnxSession, feed: Any, outputs: Any = None) -> Any:
        made = call(self, feed, outputs)
        return {name: array + np.float32(0.1) if name == "features" else array for name, array in made.items()}

    monkeypatch.setattr(OnnxSession, "__call__", damaged)
    with pytest.raises(ParityError, match=f"{DISCRIMINATOR} is no faithful export: features differ by"):
        export_run(run, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_not_there_or_damaged_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no such directory; give a training run"):
        export_run(tmp_path / "nothing", tmp_path / "b")
    with pytest.raises(CheckpointError, match="holds no run"):
        export_run(tmp_path, tmp_path / "b")
    with pytest.raises(CheckpointError, match="has no checkpoint 'step-000099'"):
        export_run(run, tmp_path / "b", checkpoint="step-000099")


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"forms": ("deconv", "circle")}, "form 'circle' cannot be exported: choose from deconv, phase, fused"),
        ({"precisions": ("fp32", "int4")}, "precision 'int4' cannot be exported: choose from fp32, fp16, int8"),
        ({"precisions": ("int8",)}, "precisions int8: name fp32 too, it is what the others are measured against"),
        ({"forms": ()}, "forms none: name each one that is wanted once"),
        ({"min_psnr": math.nan}, "a lowest PSNR of nan dB is none: give 0 to 100"),
        (
            {"forms": ("fused",), "engines": ("tensorrt-rtx",)},
            "engines are built of the forms deconv, phase: name one of them too",
        ),
        ({"engines": ("onnx",)}, "engines of 'onnx' cannot be built: choose from tensorrt-rtx, tensorrt"),
    ],
)
def test_what_cannot_be_made_is_refused_before_any_work(tmp_path: Path, choices: dict[str, Any], said: str) -> None:
    with pytest.raises(ExportError) as caught:
        export_run(tmp_path / "nothing", tmp_path / "b", **choices)
    assert str(caught.value) == said


def test_a_score_that_no_manifest_can_hold_is_refused_before_any_writing(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run", symlinks=True)
    state = tmp_path / "run" / "best" / "state.json"
    document = json.loads(state.read_text())
    document["scores"]["frechet_distance"] = math.nan
    state.write_text(json.dumps(document))
    with pytest.raises((ExportError, CheckpointError), match="score") as caught:
        export_run(tmp_path / "run", tmp_path / "b")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
