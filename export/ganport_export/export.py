"""From a training run, or from a user's own generator, to a bundle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ganport_runtime.manifest import (
    PRECISIONS,
    DiscriminatorInfo,
    FeaturesInfo,
    GeneratorInfo,
    ImageInfo,
    LatentInfo,
    Manifest,
)
from ganport_train import checkpoints
from ganport_train.checkpoints import LoadedNetworks

from ganport_export.bundle_writer import Contents, Destination, assemble, make_probe
from ganport_export.discriminator import discriminator_graph
from ganport_export.engines import load_library
from ganport_export.errors import ExportError, Observer, Progress, log, quiet
from ganport_export.generator import generator_parts
from ganport_export.inputs import GeneratorInputs
from ganport_export.user_module import check_module, load_module
from ganport_export.variants import ALL_FORMS, DEFAULT_MIN_PSNR_DB, ExportChoices

POOLING = "max 4x4"  # Radford et al. 2015, section 5.1


def export_run(
    run: Path,
    out: Path,
    *,
    checkpoint: str = "best",
    weights: Literal["ema", "raw"] = "ema",
    forms: tuple[str, ...] = ALL_FORMS,
    precisions: tuple[str, ...] = PRECISIONS,
    min_psnr: float = DEFAULT_MIN_PSNR_DB,
    engines: tuple[str, ...] = (),
    name: str | None = None,
    overwrite: bool = False,
    observer: Observer = log,
    progress: Progress = quiet,
) -> Manifest:
    """Export a run's generator and discriminator to a bundle, measured against their networks in float64.

    Args:
        run: a run directory.
        out: the bundle's directory, which appears whole or not at all.
        checkpoint: `best`, `last`, or the name of a folder in `checkpoints`, such as `step-000500`.
        weights: the generator's averaged weights, or those that training goes on with.
        forms: forms of the generator's graph: `deconv`, `phase`, `fused`.
        precisions: of the generator: `fp32`, which is always wanted, `fp16`, `int8`.
        min_psnr: the lowest mean PSNR in dB against fp32 with which a variant goes into the bundle.
        engines: libraries to build engines with: `tensorrt-rtx`, `tensorrt`.
        name: what the bundle is called; None: its directory's name without `.ganport`.
        overwrite: whether a bundle that is there may be replaced.
        observer: told in one line of everything that the user should know and that is no error.
        progress: told what is being done.

    Raises:
        CheckpointError: no such run or checkpoint, or a damaged one.
        ParityError: an fp32 graph is over its gate; nothing is written.
        ExportError: anything else that keeps the bundle from being made.
    """
    choices = ExportChoices(forms, precisions, min_psnr, engines)
    destination = Destination.cleared(out, name, overwrite, observer)
    if not run.is_dir():
        raise ExportError(f"{run}: no such directory; give a training run's directory, or package.module:factory")
    for library in choices.engines:
        load_library(library)  # before anything is made for it
    networks = checkpoints.load_networks(run, checkpoint, weights)
    training, inputs = _training(run, networks, weights), GeneratorInputs(networks.config.latent_dim)
    image = ImageInfo(networks.generator.resolution, networks.generator.resolution, networks.generator.channels)
    parts = generator_parts(networks.generator, inputs, image, choices, observer, progress)
    discriminator = discriminator_graph(networks.discriminator, image, parts.shown, observer, progress)
    probe = make_probe(networks.generator, inputs, networks.discriminator)
    return assemble(
        destination,
        Contents((*parts.shipment.graphs, discriminator), parts.engines, probe, parts.shipment.strips, parts.shown),
        training=training,
        generator=GeneratorInfo(LatentInfo(inputs.latent_dim), image),
        discriminator=DiscriminatorInfo(image, FeaturesInfo(networks.discriminator.feature_dim, POOLING)),
        observer=observer,
    )


def _training(run: Path, networks: LoadedNetworks, weights: str) -> Mapping[str, Any]:
    state = checkpoints.read_state(checkpoints.folder_of(run, networks.step))
    return {
        "settings": networks.config.to_json(),
        "steps": networks.step,
        "data_digest": networks.data_digest,
        "weights": weights,
        "scores": dict(state.scores),
    }


def export_module(
    factory: str,
    *,
    weights: Path,
    latent_dim: int,
    image_size: int,
    out: Path,
    forms: tuple[str, ...] = ALL_FORMS,
    precisions: tuple[str, ...] = PRECISIONS,
    min_psnr: float = DEFAULT_MIN_PSNR_DB,
    engines: tuple[str, ...] = (),
    name: str | None = None,
    overwrite: bool = False,
    observer: Observer = log,
    progress: Progress = quiet,
) -> Manifest:
    """Export a generator that takes latents float32 [n, latent_dim] and returns images in [-1, 1] NCHW.

    It goes through the same gates as ganport's own. The bundle has no discriminator.

    Args:
        factory: `package.module:name` on `sys.path`: a callable without arguments that returns the module.
        weights: a safetensors file with all of its tensors.
        latent_dim: numbers in one latent, drawn from N(0, 1).
        image_size: height and width of its images in pixels.
        out: the bundle's directory, which appears whole or not at all.
        forms: graph forms: `deconv`, the network as it is, `phase`, `fused`; those that change nothing are left out.
        precisions: `fp32`, which is always wanted, `fp16`, `int8`.
        min_psnr: the lowest mean PSNR in dB against fp32 with which a variant goes into the bundle.
        engines: libraries to build engines with: `tensorrt-rtx`, `tensorrt`.
        name: what the bundle is called; None: its directory's name without `.ganport`.
        overwrite: whether a bundle that is there may be replaced.
        observer: told in one line of everything that the user should know and that is no error.
        progress: told what is being done.

    Raises:
        ModuleError: the module cannot be made, filled or run, or what it returns are no images.
        TraceError: PyTorch cannot write it as ONNX for any batch size.
        ParityError: an fp32 graph is over its gate; nothing is written.
        ExportError: anything else that keeps the bundle from being made.
    """
    choices = ExportChoices(forms, precisions, min_psnr, engines)
    destination = Destination.cleared(out, name, overwrite, observer)
    for library in choices.engines:
        load_library(library)  # before anything is made for it
    module = load_module(factory, weights)
    inputs = GeneratorInputs(latent_dim)
    image = check_module(module, inputs, image_size)
    parts = generator_parts(module, inputs, image, choices, observer, progress)
    shipment, probe = parts.shipment, make_probe(module, inputs)
    return assemble(
        destination,
        Contents(shipment.graphs, parts.engines, probe, shipment.strips, parts.shown),
        training={},
        generator=GeneratorInfo(LatentInfo(latent_dim), image),
        discriminator=None,
        observer=observer,
    )
