"""Puts graphs, their figures and a sheet of samples together into a bundle."""

import datetime as dt
import io
from collections.abc import Mapping, Sequence
from typing import Any

from ganport_runtime.manifest import DiscriminatorInfo, GeneratorInfo, Manifest
from ganport_train.grid import grid

from ganport_export.bundle_writer import Destination, write_bundle
from ganport_export.observer import Observer
from ganport_export.reference import Pixels
from ganport_export.toolchain import toolchain
from ganport_export.variants import Graph

__all__ = ["SAMPLES", "SAMPLES_SEED", "assemble"]

SAMPLES, SAMPLES_SEED = 64, 0  # the images of samples.png: `generate --count 64 --seed 0` makes the same


def assemble(
    destination: Destination,
    graphs: Sequence[Graph],
    shown: Pixels,
    *,
    training: Mapping[str, Any],
    generator: GeneratorInfo,
    discriminator: DiscriminatorInfo | None,
    observer: Observer,
) -> Manifest:
    """Write a bundle and return its manifest.

    Args:
        destination: the bundle's directory.
        graphs: every graph, measured and within its gates.
        shown: the images of `samples.png`, uint8 [n, height, width, channels].
        training: what is known of the training run.
        generator: the generator's signature.
        discriminator: the discriminator's, or None where there is none.
        observer: told of what killed exports left beside the bundle.
    """
    manifest = Manifest(
        name=destination.called,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        toolchain=toolchain(),
        training=training,
        generator=generator,
        discriminator=discriminator,
        variants=tuple(graph.variant for graph in graphs),
    )
    contents = {graph.variant.file: graph.data for graph in graphs} | {"samples.png": _png(shown)}
    write_bundle(destination, manifest, contents, observer)
    return manifest


def _png(images: Pixels) -> bytes:
    buffer = io.BytesIO()
    grid(images).save(buffer, "PNG")
    return buffer.getvalue()
