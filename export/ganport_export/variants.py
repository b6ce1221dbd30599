"""Makes a variant of a network: its graph, and the figures of how near it comes to the network itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ganport_runtime.manifest import ImageInfo, Role, Variant
from ganport_train.networks import Discriminator
from torch import nn

from ganport_export.bundle_writer import sha256
from ganport_export.discriminator_parity import DISCRIMINATOR_GATES, measure_discriminator
from ganport_export.errors import ExportError
from ganport_export.generator_parity import BATCHES, GENERATOR_GATES, SEEDS, measure_generator
from ganport_export.graph import build_graph
from ganport_export.observer import Observer
from ganport_export.reference import Pixels, discriminator_reference, make_reference
from ganport_export.session import DiscriminatorSession, GeneratorSession
from ganport_export.signature import discriminator_signature, generator_signature
from ganport_export.value_checks import check_values
from ganport_export.wrap import DiscriminatorGraph, GeneratorGraph

__all__ = ["FORMS", "PRECISIONS", "Graph", "check_choices", "discriminator_graph", "generator_graph"]

FORMS = ("deconv",)  # as trained
PRECISIONS = ("fp32",)
EXAMPLES = 2  # images in the batch that is traced


@dataclass(frozen=True)
class Graph:
    """A finished ONNX file and what the manifest says of it."""

    role: Role
    form: str
    precision: str
    data: bytes
    parity: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Such as `generator-deconv-fp32`."""
        return f"{self.role}-{self.form}-{self.precision}"

    @property
    def variant(self) -> Variant:
        """The manifest's entry."""
        return Variant(
            id=self.id,
            role=self.role,
            file=f"{self.id}.onnx",
            sha256=sha256(self.data),
            precision=self.precision,
            form=self.form,
            parity=self.parity,
        )


def check_choices(forms: tuple[str, ...], precisions: tuple[str, ...]) -> None:
    """Raise `ExportError` for a form or precision that cannot be made, or where none or one twice is asked for."""
    for what, asked, known in (("form", forms, FORMS), ("precision", precisions, PRECISIONS)):
        for name in asked:
            if name not in known:
                raise ExportError(f"{what} {name!r} cannot be exported: choose from {', '.join(known)}")
        if not asked or len(set(asked)) < len(asked):
            raise ExportError(f"{what}s {', '.join(asked) or 'none'}: name each one that is wanted once")


def generator_graph(network: nn.Module, latent_dim: int, image: ImageInfo, observer: Observer) -> Graph:
    """Export a generator and measure its graph against the network.

    Args:
        network: float32, in eval mode.
        latent_dim: numbers in one latent.
        image: the images' sizes.
        observer: told of what stays unfolded, is clipped, or looks wrong.

    Raises:
        ExportError: the network cannot be traced or gives no images; a `ParityError`: the graph is over a gate.
    """
    references = [make_reference(network, seed, max(BATCHES), latent_dim) for seed in SEEDS]
    for reference in references:
        check_values(reference, observer)
    example = torch.from_numpy(references[0].latents[:EXAMPLES])
    data = build_graph(GeneratorGraph(network), example, generator_signature(latent_dim, image), observer)
    parity = measure_generator(GeneratorSession(data), references)
    graph = Graph("generator", FORMS[0], PRECISIONS[0], data, parity.to_json())
    GENERATOR_GATES[graph.precision].check(graph.id, parity)
    return graph


def discriminator_graph(network: Discriminator, image: ImageInfo, generated: Pixels, observer: Observer) -> Graph:
    """Export a discriminator and measure its graph against the network, on generated images and on noise.

    Args:
        network: float32, in eval mode.
        image: the images' sizes.
        generated: uint8 [64 or more, height, width, channels].
        observer: told of what stays unfolded.

    Raises:
        ExportError: as `generator_graph`.
    """
    signature = discriminator_signature(image, network.feature_dim)
    data = build_graph(DiscriminatorGraph(network), torch.from_numpy(generated[:EXAMPLES]), signature, observer)
    noise = np.random.default_rng(SEEDS[0]).integers(0, 256, (max(BATCHES), *image.shape), dtype=np.uint8)
    parity = measure_discriminator(
        DiscriminatorSession(data), lambda pixels: discriminator_reference(network, pixels), (generated, noise)
    )
    graph = Graph("discriminator", "conv", PRECISIONS[0], data, parity.to_json())
    DISCRIMINATOR_GATES[graph.precision].check(graph.id, parity)
    return graph
