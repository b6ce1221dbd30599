"""Any generator: other people's networks through the same gates, and one line for each that is none."""

import logging
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import pytest
import torch
from ganport_export import ExportError, ModuleError, ParityError, TraceError
from ganport_export.passes import layers
from ganport_export.reference import in_float64
from ganport_runtime import Generator, latents

from tests.export import user_networks
from tests.export.conftest import ExportModule
from tests.export.user_networks import LATENT_DIM, SIZE


def operators(bundle: Path) -> list[str]:
    return [node.op_type for node in onnx.load(bundle / "generator-deconv-fp32.onnx").graph.node]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "channels"),
    [("Residual", 3), ("Gray", 1), ("SubPixel", 3), ("Modulated", 3), ("InPlace", 3), ("IdleDropout", 3), ("Tied", 3)],
)
def test_runtime_makes_the_images_of_the_users_network(
    export: ExportModule, tmp_path: Path, name: str, channels: int
) -> None:
    notes: list[str] = []
    manifest = export(name, observer=notes.append)
    torch.manual_seed(0)
    bundle = tmp_path / "out" / f"{name}.ganport"
    assert notes == []
    assert "BatchNormalization" not in operators(bundle)
    assert (manifest.discriminator, manifest.training, manifest.name) == (None, {}, name)
    z = latents(99, 0, 5, LATENT_DIM)
    with Generator.open(bundle) as generator:
        images = generator(z)
    assert images.shape == (5, SIZE, SIZE, channels)
    module = network_of(name, tmp_path)
    with torch.no_grad():
        wanted = (module(torch.from_numpy(z.copy())).permute(0, 2, 3, 1).numpy() + 1) * 127.5
    assert np.abs(images - wanted).max() <= 0.5 + 1e-3
    assert images.std() > 10


def network_of(name: str, folder: Path) -> torch.nn.Module:
    from safetensors.torch import load_model

    module: torch.nn.Module = getattr(user_networks, name)()
    load_model(module, str(folder / f"{name}.safetensors"))
    return module.eval()


@pytest.mark.slow
def test_batch_norm_that_cannot_be_folded_stays_and_is_logged(
    export: ExportModule, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "ganport_export"):
        export("PreActivation")
    assert "stays in the graph: it follows Relu" in caplog.text
    assert operators(tmp_path / "out" / "PreActivation.ganport").count("BatchNormalization") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("FixedBatch", TraceError, "fixes its batch size"),
        ("Deciding", TraceError, "cannot be traced: Could not guard on data-dependent expression"),
        ("Untranslatable", TraceError, "cannot be written as ONNX: No ONNX function found for"),
        ("Noisy", ModuleError, "draws random numbers"),
        ("FaintlyNoisy", ModuleError, "draws random numbers: two calls with one latent differ"),
        ("SeededNoise", TraceError, "draws random numbers (RandomNormalLike in its graph)"),
        ("FaintDropout", TraceError, "draws random numbers (Dropout in its graph)"),
        ("Steep", ParityError, "is no faithful export: a pixel differs"),
        ("GroupedByBatch", TraceError, "as groups=len(z) of a convolution does; scale activations instead of weights"),
        ("LeavesAtRun", ModuleError, "fails on latents float32 [3, 12]: it ends the program by sys.exit(3)"),
        ("BatchStatistics", ModuleError, "changes with the other latents of its batch"),
        ("Bytes", ModuleError, "outside [-1, 1]"),
        ("Infinite", ModuleError, "not finite"),
        ("HardFloat32", ModuleError, "does not run in float64"),
        ("QuietFloat32", ModuleError, "it returns torch.float32 for float64 latents"),
        ("Half", ModuleError, "returns torch.float16, wanted torch.float32"),
        ("Tuple", ModuleError, "returns tuple, wanted one tensor"),
        ("FourChannels", ModuleError, "returns [3, 4, 16, 16] for 3 latents, wanted [3, 1 or 3, 16, 16]"),
    ],
)
def test_network_that_is_no_generator_gets_one_line_and_no_bundle(
    export: ExportModule, tmp_path: Path, name: str, kind: type[ExportError], said: str
) -> None:
    with pytest.raises(kind) as caught:
        export(name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("UnitRange", "no value of the network's is below 0"),
        ("Overshooting", "are clipped"),
        ("Constant", "the same image of every latent"),
    ],
)
def test_what_pixels_would_hide_is_said(export: ExportModule, name: str, said: str) -> None:
    notes: list[str] = []
    export(name, observer=notes.append)
    assert any(said in note for note in notes)


def test_wrong_sizes_are_named(export: ExportModule) -> None:
    with pytest.raises(ModuleError, match=r"fails on latents float32 \[3, 5\].*is the latent size right"):
        export("Residual", latent_dim=5)
    with pytest.raises(ModuleError, match=r"wanted \[3, 1 or 3, 32, 32\]: is the image size right"):
        export("Residual", image_size=32)


@pytest.mark.slow
def test_warnings_of_the_users_own_code_are_not_swallowed(export: ExportModule) -> None:
    with pytest.warns(UserWarning, match="the network is old"):
        export("Deprecated")


@pytest.mark.slow
def test_fold_along_the_wrong_axis_is_refused(
    export: ExportModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = layers.COLUMN_OF_WEIGHT["Conv"]  # columns along the first axis, which ConvTranspose has its inputs on
    monkeypatch.setitem(layers.COLUMN_OF_WEIGHT, "ConvTranspose", wrong)
    with pytest.raises(ParityError, match=r"a pixel differs by [0-9]+ of 255 from the network's, the limit is 1"):
        export("Square")
    assert not (tmp_path / "out").exists()


class Stubborn(torch.nn.Module):
    """Goes to no float64."""

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        if fn(torch.zeros(1)).dtype == torch.float64:
            raise RuntimeError("no")
        return self


def test_a_network_that_goes_half_of_the_way_to_float64_is_put_back() -> None:
    network = torch.nn.Sequential(torch.nn.Linear(2, 2), Stubborn())
    with pytest.raises(ModuleError, match="does not run in float64"), in_float64(network):
        pass
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
