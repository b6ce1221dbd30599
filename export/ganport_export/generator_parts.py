"""What an export makes of a generator, whoever made the network: measured graphs, engines, strips, samples."""

from dataclasses import dataclass

from ganport_runtime.latents import latents
from ganport_runtime.manifest import ImageInfo
from torch import nn

from ganport_export import seeds
from ganport_export.assemble import SAMPLES
from ganport_export.choices import Choices
from ganport_export.engine_choice import engines_of
from ganport_export.engines import BuiltEngine
from ganport_export.generator_graphs import generator_graphs
from ganport_export.observer import Observer, Progress
from ganport_export.reference import Pixels
from ganport_export.session import GeneratorSession
from ganport_export.shipping import Shipment, ship

__all__ = ["GeneratorParts", "generator_parts"]


@dataclass(frozen=True)
class GeneratorParts:
    """A generator's part of a bundle.

    Args:
        shipment: graphs within the floor, and their strips.
        engines: built of them.
        shown: the images of `samples.png`, uint8 [n, height, width, channels].
    """

    shipment: Shipment
    engines: tuple[BuiltEngine, ...]
    shown: Pixels


def generator_parts(
    network: nn.Module, latent_dim: int, image: ImageInfo, choices: Choices, observer: Observer, progress: Progress
) -> GeneratorParts:
    """Make, measure and build everything that was chosen; arguments and errors as of `generator_graphs`."""
    graphs = generator_graphs(network, latent_dim, image, choices, observer, progress)
    shown = GeneratorSession(graphs[0].data)(latents(seeds.SAMPLES, 0, SAMPLES, latent_dim))
    shipment = ship(graphs, latent_dim, choices.min_psnr, observer, progress)
    built = engines_of(shipment.graphs, choices.engines, observer, progress)
    return GeneratorParts(shipment, tuple(built), shown)
