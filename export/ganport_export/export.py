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

from ganport_export.bundle_writer import Destination, assemble, make_probe
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
    checkpoint: str = "best",  # `best`, `last`, or the name of a folder in `checkpoints`, such as `step-000500`
    weights: Literal["ema", "raw"] = "ema",  # the generator's averaged weights, or those that training goes on with
    forms: tuple[str, ...] = ALL_FORMS,  # forms of the generator's graph: `deconv`, `phase`, `fused`
    precisions: tuple[str, ...] = PRECISIONS,  # of the generator: `fp32`, which is always wanted, `fp16`, `int8`
    min_psnr: float = DEFAULT_MIN_PSNR_DB,  # the lowest mean PSNR in dB against fp32 of a variant in the bundle
    engines: tuple[str, ...] = (),  # libraries to build engines with: `tensorrt-rtx`, `tensorrt`
    name: str | None = None,  # what the bundle is called; None: its directory's name without `.ganport`
    overwrite: bool = False,
    observer: Observer = log,
    progress: Progress = quiet,
) -> Manifest:
    """Export a run's generator and discriminator to a bundle, measured against their networks in float64.

    Raises `CheckpointError` for the run, `ParityError` for a graph over its gate, another `ExportError` otherwise;
    nothing is written then. The observer is told, a line each, what the user should know.
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
    return assemble(
        destination,
        parts,
        discriminator,
        make_probe(networks.generator, inputs, networks.discriminator),
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
    factory: str,  # `package.module:name` on `sys.path`: a callable without arguments that returns the module
    *,
    weights: Path,  # a safetensors file with all of its tensors
    latent_dim: int,  # numbers in one latent, drawn from N(0, 1)
    image_size: int,  # height and width of its images in pixels
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

    The other options are those of `export_run`. Raises `ModuleError` for the module, `TraceError` where PyTorch cannot
    write it as ONNX, `ParityError` for a graph over its gate, another `ExportError` otherwise; nothing is written then.
    """
    choices = ExportChoices(forms, precisions, min_psnr, engines)
    destination = Destination.cleared(out, name, overwrite, observer)
    for library in choices.engines:
        load_library(library)  # before anything is made for it
    module = load_module(factory, weights)
    inputs = GeneratorInputs(latent_dim)
    image = check_module(module, inputs, image_size)
    parts = generator_parts(module, inputs, image, choices, observer, progress)
    return assemble(
        destination,
        parts,
        None,
        make_probe(module, inputs),
        training={},
        generator=GeneratorInfo(LatentInfo(latent_dim), image),
        discriminator=None,
        observer=observer,
    )
