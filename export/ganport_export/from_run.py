"""From a training run's directory to a bundle."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ganport_runtime.latents import latents
from ganport_runtime.manifest import DiscriminatorInfo, FeaturesInfo, GeneratorInfo, ImageInfo, LatentInfo, Manifest
from ganport_train import checkpoints
from ganport_train.checkpoints import LoadedNetworks

from ganport_export.assemble import SAMPLES, SAMPLES_SEED, assemble
from ganport_export.bundle_writer import Destination
from ganport_export.errors import ExportError
from ganport_export.observer import Observer, log
from ganport_export.session import GeneratorSession
from ganport_export.variants import FORMS, PRECISIONS, check_choices, discriminator_graph, generator_graph

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
    name: str | None = None,
    overwrite: bool = False,
    observer: Observer = log,
) -> Manifest:
    """Export a run's generator and discriminator, each measured against its network in float64, to a bundle.

    Args:
        run: a run directory.
        out: the bundle's directory, which appears whole or not at all.
        checkpoint: `best`, `last`, or the name of a folder in `checkpoints`, such as `step-000500`.
        weights: the generator's averaged weights, or those that training goes on with.
        forms: graph forms: `deconv`.
        precisions: `fp32`.
        name: what the bundle is called; None: its directory's name without `.ganport`.
        overwrite: whether a bundle that is there may be replaced.
        observer: told in one line of everything that the user should know and that is no error.

    Raises:
        CheckpointError: no such run or checkpoint, or a damaged one.
        ParityError: a graph is over its gate; nothing is written.
        ExportError: anything else that keeps the bundle from being made.
    """
    check_choices(forms, precisions)
    destination = Destination(out, name, overwrite)
    if not run.is_dir():
        raise ExportError(f"{run}: no such directory; give a training run's directory, or package.module:factory")
    networks = checkpoints.load_networks(run, checkpoint, weights)
    training = _training(run, networks, weights)
    config, feature_dim = networks.config, networks.discriminator.feature_dim
    image = ImageInfo(networks.generator.resolution, networks.generator.resolution, networks.generator.channels)
    generator = generator_graph(networks.generator, config.latent_dim, image, observer)
    shown = GeneratorSession(generator.data)(latents(SAMPLES_SEED, 0, SAMPLES, config.latent_dim))
    discriminator = discriminator_graph(networks.discriminator, image, shown, observer)
    return assemble(
        destination,
        (generator, discriminator),
        shown,
        training=training,
        generator=GeneratorInfo(LatentInfo(config.latent_dim), image),
        discriminator=DiscriminatorInfo(image, FeaturesInfo(feature_dim, POOLING)),
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
