"""Makes the discriminator's graph, which must pass the gates against the network in float64."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from ganport_runtime.manifest import ImageInfo
from ganport_train.networks import DcganDiscriminator

from ganport_export.errors import Observer, ParityError, Progress
from ganport_export.generator import BATCHES, NO_BUNDLE
from ganport_export.graph import to_bytes
from ganport_export.inputs import PARITY_SEEDS
from ganport_export.reference import Pixels, discriminator_reference
from ganport_export.session import OnnxSession
from ganport_export.trace import EXAMPLES, DiscriminatorGraph, build_graph, discriminator_signature
from ganport_export.variants import ExportedGraph

FORM, PRECISION = "conv", "fp32"

Floats = npt.NDArray[np.floating[Any]]
Outputs = tuple[Floats, Floats]  # logits [n], features [n, F]


@dataclass(frozen=True)
class DiscriminatorParity:
    """A discriminator's graph beside its network in float64."""

    logit_error: float  # the largest, relative to the largest logit, or absolute where that is below 1
    features_error: float  # the same for the features
    images: int
    batches: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self) | {"batches": list(self.batches)}


@dataclass(frozen=True)
class DiscriminatorGate:
    """What a discriminator's figures must keep to at least."""

    error: float

    def check(self, name: str, parity: DiscriminatorParity) -> None:
        """Raise `ParityError` naming the first figure of the graph `name` that is over its limit."""
        for output, error in (("logit", parity.logit_error), ("features", parity.features_error)):
            if not error <= self.error:  # NaN is no pass
                figure = f"{output} differ by {error:.2g} (relative) from the network's, the limit is"
                raise ParityError(f"{name} is no faithful export: {figure} {self.error:g}; {NO_BUNDLE}")


DISCRIMINATOR_GATES: Mapping[str, DiscriminatorGate] = {"fp32": DiscriminatorGate(error=1e-3)}


def measure_discriminator(
    run: Callable[[Pixels], Outputs],
    reference: Callable[[Pixels], Outputs],
    image_sets: Sequence[Pixels],
    batches: Sequence[int] = BATCHES,
) -> DiscriminatorParity:
    """Run a graph on the first images of every set in each batch size, and compare with the network's outputs."""
    errors, images = [], 0
    for pixels in image_sets:
        wanted = reference(pixels[: max(batches)])
        for batch in batches:
            outputs = run(pixels[:batch])
            errors.append([_error(w, w[:batch], o) for w, o in zip(wanted, outputs, strict=True)])
            images += batch
    logit_error, features_error = np.max(errors, axis=0)
    return DiscriminatorParity(float(logit_error), float(features_error), images, tuple(batches))


def _error(all_wanted: Floats, wanted: Floats, outputs: Floats) -> float:
    if wanted.shape != outputs.shape:
        raise ParityError(f"an output has the shape {outputs.shape}, the network's has {wanted.shape}")
    return float(np.max(np.abs(wanted - outputs)) / max(1.0, np.max(np.abs(all_wanted))))


def discriminator_graph(
    network: DcganDiscriminator, image: ImageInfo, generated: Pixels, observer: Observer, progress: Progress
) -> ExportedGraph:
    """Export a discriminator and measure its graph against the network, on generated images and on noise."""
    progress("tracing the discriminator, and measuring it against the network in float64")
    example = {"image": generated[:EXAMPLES]}
    signature = discriminator_signature(example, network.feature_dim)
    data = to_bytes(build_graph(DiscriminatorGraph(network), example, signature, observer), check=True)
    session = OnnxSession(data)

    def run(pixels: Pixels) -> Outputs:
        made = session({"image": pixels}, ("logit", "features"))
        return made["logit"], made["features"]

    noise = np.random.default_rng(PARITY_SEEDS[0]).integers(0, 256, (max(BATCHES), *image.shape), dtype=np.uint8)
    parity = measure_discriminator(run, lambda pixels: discriminator_reference(network, pixels), (generated, noise))
    graph = ExportedGraph("discriminator", FORM, PRECISION, data, parity=parity.to_json())
    DISCRIMINATOR_GATES[graph.precision].check(graph.id, parity)
    return graph
