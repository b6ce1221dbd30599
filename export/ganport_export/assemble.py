"""Puts graphs, engines, the probe and pictures together into a bundle."""

import datetime as dt
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganport_runtime.manifest import DiscriminatorInfo, GeneratorInfo, Manifest
from ganport_train.grid import grid

from ganport_export.bundle_writer import Destination, write_bundle
from ganport_export.engines import BuiltEngine
from ganport_export.observer import Observer
from ganport_export.probe import ProbeFile
from ganport_export.reference import Pixels
from ganport_export.toolchain import toolchain
from ganport_export.variants import Graph

__all__ = ["SAMPLES", "Contents", "assemble"]

SAMPLES = 64  # the images of samples.png


@dataclass(frozen=True)
class Contents:
    """The files of a bundle, made and measured.

    Args:
        graphs: every graph, the fp32 reference first.
        engines: every engine, of these graphs.
        probe: latents and the network's own pixels.
        strips: PNG files by their paths in the bundle.
        shown: the images of `samples.png`, uint8 [n, height, width, channels].
    """

    graphs: tuple[Graph, ...]
    engines: tuple[BuiltEngine, ...]
    probe: ProbeFile
    strips: Mapping[str, bytes]
    shown: Pixels

    @property
    def files(self) -> Mapping[str, bytes]:
        """All of them by their paths in the bundle."""
        return {
            **{graph.variant.file: graph.data for graph in self.graphs},
            **{built.engine.file: built.data for built in self.engines},
            self.probe.entry.file: self.probe.data,
            **self.strips,
            "samples.png": _png(self.shown),
        }


def assemble(
    destination: Destination,
    contents: Contents,
    *,
    training: Mapping[str, Any],
    generator: GeneratorInfo,
    discriminator: DiscriminatorInfo | None,
    observer: Observer,
) -> Manifest:
    """Write a bundle and return its manifest.

    Args:
        destination: the bundle's directory.
        contents: its files.
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
        variants=tuple(graph.variant for graph in contents.graphs),
        engines=tuple(built.engine for built in contents.engines),
        probe=contents.probe.entry,
    )
    write_bundle(destination, manifest, contents.files, observer)
    return manifest


def _png(images: Pixels) -> bytes:
    buffer = io.BytesIO()
    grid(images).save(buffer, "PNG")
    return buffer.getvalue()
