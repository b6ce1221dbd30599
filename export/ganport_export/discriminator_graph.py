"""Makes the discriminator's graph, and sees that it computes what the network computes."""

import numpy as np
import torch
from ganport_runtime.manifest import ImageInfo
from ganport_train.networks import Discriminator

from ganport_export import seeds
from ganport_export.discriminator_parity import DISCRIMINATOR_GATES, measure_discriminator
from ganport_export.generator_parity import BATCHES
from ganport_export.graph import EXAMPLES, build_graph, to_file
from ganport_export.observer import Observer, Progress
from ganport_export.reference import Pixels, discriminator_reference
from ganport_export.session import DiscriminatorSession
from ganport_export.signature import discriminator_signature
from ganport_export.variants import Graph
from ganport_export.wrap import DiscriminatorGraph

__all__ = ["discriminator_graph"]

FORM, PRECISION = "conv", "fp32"


def discriminator_graph(
    network: Discriminator, image: ImageInfo, generated: Pixels, observer: Observer, progress: Progress
) -> Graph:
    """Export a discriminator and measure its graph against the network, on generated images and on noise.

    Args:
        network: float32, in eval mode.
        image: the images' sizes.
        generated: uint8 [64 or more, height, width, channels].
        observer: told of what stays unfolded.
        progress: told what is being done.

    Raises:
        ExportError: the network cannot be traced; a `ParityError`: the graph is over a gate.
    """
    progress("tracing the discriminator, and measuring it against the network in float64")
    signature = discriminator_signature(image, network.feature_dim)
    example = torch.from_numpy(generated[:EXAMPLES])
    data = to_file(build_graph(DiscriminatorGraph(network), example, signature, observer))
    noise = np.random.default_rng(seeds.PARITY[0]).integers(0, 256, (max(BATCHES), *image.shape), dtype=np.uint8)
    parity = measure_discriminator(
        DiscriminatorSession(data), lambda pixels: discriminator_reference(network, pixels), (generated, noise)
    )
    graph = Graph("discriminator", FORM, PRECISION, data, parity=parity.to_json())
    DISCRIMINATOR_GATES[graph.precision].check(graph.id, parity)
    return graph
