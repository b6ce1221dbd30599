"""From a training run's directory to a bundle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ganport_runtime.manifest import DiscriminatorInfo, FeaturesInfo, GeneratorInfo, ImageInfo, LatentInfo, Manifest
from ganport_train import checkpoints
from ganport_train.checkpoints import LoadedNetworks

from ganport_export.assemble import Contents, assemble
from ganport_export.bundle_writer import Destination
from ganport_export.choices import DEFAULT_MIN_PSNR_DB, FORMS, PRECISIONS, Choices
from ganport_export.discriminator_graph import discriminator_graph
from ganport_export.engine_choice import check_engines
from ganport_export.errors import ExportError
from ganport_export.generator_parts import generator_parts
from ganport_export.observer import Observer, Progress, log, quiet
from ganport_export.probe import make_probe

__all__ = ["export_run"]

POOLING = "max 4x4"  # Radford et al. 2015, section 5.1


def export_run(
    run: Path,
    out: Path,
    *,
    checkpoint: str = "best",
    weights: Literal["ema", "raw"] = "ema",
    forms: tuple[str, ...] = FORMS,
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
    choices = Choices(forms, precisions, min_psnr, engines)
    destination = Destination(out, name, overwrite)
    if not run.is_dir():
        raise ExportError(f"{run}: no such directory; give a training run's directory, or package.module:factory")
    check_engines(choices.engines)
    networks = checkpoints.load_networks(run, checkpoint, weights)
    training, latent_dim = _training(run, networks, weights), networks.config.latent_dim
    image = ImageInfo(networks.generator.resolution, networks.generator.resolution, networks.generator.channels)
    parts = generator_parts(networks.generator, latent_dim, image, choices, observer, progress)
    discriminator = discriminator_graph(networks.discriminator, image, parts.shown, observer, progress)
    probe = make_probe(networks.generator, latent_dim, networks.discriminator)
    return assemble(
        destination,
        Contents((*parts.shipment.graphs, discriminator), parts.engines, probe, parts.shipment.strips, parts.shown),
        training=training,
        generator=GeneratorInfo(LatentInfo(latent_dim), image),
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
