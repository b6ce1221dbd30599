"""Writes a bundle so that it appears whole or not at all, and an older one stays until the new one is there."""

import dataclasses
import datetime as dt
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ganport_runtime import Bundle, __version__, atomic
from ganport_runtime.bundle import MANIFEST
from ganport_runtime.manifest import DiscriminatorInfo, GeneratorInfo, Manifest, Probe
from ganport_train.grid import grid
from ganport_train.networks import DcganDiscriminator
from torch import nn

from ganport_export.errors import Observer, OutputError, log
from ganport_export.generator import GeneratorParts
from ganport_export.inputs import PROBE_SEED, GeneratorInputs
from ganport_export.reference import discriminator_reference, make_reference
from ganport_export.variants import ExportedGraph, sha256

SUFFIX = ".ganport"
PACKAGES = ("numpy", "onnx", "onnx-ir", "onnxruntime", "onnxscript", "torch")  # that a graph has gone through
PROBE_FILE = "probe.npz"
PROBE_IMAGES = 8


@dataclass(frozen=True)
class Destination:
    """Where a bundle is to appear and what it is called. Checked in `__post_init__`; writing can still fail later."""

    out: Path
    name: str | None = None  # what the bundle is called; None: its directory's name without `.ganport`
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not self.called.strip() or not self.called.isprintable():
            raise OutputError(f"a bundle in {self.out} cannot be called {self.called!r}: give printable text")
        parent = next(directory for directory in self.path.parents if directory.exists())
        if not parent.is_dir():
            raise OutputError(f"{self.out} cannot be written: {parent} is a file")
        if not os.access(parent, os.W_OK | os.X_OK):
            raise OutputError(f"{self.out} cannot be written: no right to write in {parent}")
        if not (self.path.exists() or self.path.is_symlink()):
            return
        if not self.overwrite:
            raise OutputError(f"{self.out} exists: choose another name, or --overwrite to replace it")
        directory = self.path.is_dir() and not self.path.is_symlink()
        if not directory or (any(self.path.iterdir()) and not (self.path / MANIFEST).is_file()):
            raise OutputError(f"{self.out} exists and is no bundle: it is not overwritten; choose another name")

    @classmethod
    def cleared(cls, out: Path, name: str | None, overwrite: bool, observer: Observer) -> "Destination":
        """The same, after what killed exports left beside it is removed, or put back where it is the only bundle."""
        atomic.remove_leftovers(_absolute(out), observer)
        return cls(out, name, overwrite)

    @property
    def path(self) -> Path:
        """The absolute path of the bundle's directory."""
        return _absolute(self.out)

    @property
    def called(self) -> str:
        """The bundle's name."""
        return self.path.name.removesuffix(SUFFIX) if self.name is None else self.name


def _absolute(out: Path) -> Path:
    named = out.name not in ("", "..")  # a last part that is a link is seen as one
    return out.parent.resolve() / out.name if named else out.resolve()


def write_bundle(
    destination: Destination, manifest: Manifest, contents: Mapping[str, bytes], observer: Observer = log
) -> None:
    """Write a bundle under a hidden name, read it back, and give it its name."""
    path = dataclasses.replace(destination).path  # made anew, it looks again
    document = json.dumps(manifest.to_json(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    try:
        with atomic.new_folder(path, overwrite=destination.overwrite, say=observer) as partial:
            for name, data in {**contents, MANIFEST: document.encode()}.items():
                atomic.write_bytes(partial / name, data)
            Bundle.open(partial).verify()
    except FileExistsError:
        raise OutputError(f"{destination.out} exists: choose another name, or --overwrite to replace it") from None


def make_probe(network: nn.Module, inputs: GeneratorInputs, discriminator: DcganDiscriminator | None = None) -> bytes:
    """An npz of what every plan must make before it is used: a generator's inputs and its images in float64.

    `image` is uint8 [n, height, width, channels]; with a discriminator there is `logit`, float32 [n], of these images.
    """
    reference = make_reference(network, inputs, PROBE_SEED, PROBE_IMAGES)
    arrays: dict[str, npt.NDArray[Any]] = {**reference.inputs, "image": np.ascontiguousarray(reference.pixels)}
    if discriminator is not None:
        logits, _ = discriminator_reference(discriminator, reference.pixels)
        arrays["logit"] = logits.astype(np.float32)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]  # always the same bytes: numpy dates the entries 1980
    return buffer.getvalue()


def assemble(
    destination: Destination,
    parts: GeneratorParts,
    discriminator_graph: ExportedGraph | None,
    probe: bytes,
    *,
    training: Mapping[str, Any],
    generator: GeneratorInfo,
    discriminator: DiscriminatorInfo | None,
    observer: Observer,
) -> Manifest:
    """Write a bundle and return its manifest."""
    graphs = parts.graphs if discriminator_graph is None else (*parts.graphs, discriminator_graph)
    samples = io.BytesIO()
    grid(parts.shown).save(samples, "PNG")
    files = {
        **{graph.variant.file: graph.data for graph in graphs},
        **{built.engine.file: built.data for built in parts.engines},
        PROBE_FILE: probe,
        **parts.strips,
        "samples.png": samples.getvalue(),
    }
    manifest = Manifest(
        name=destination.called,
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        toolchain={"ganport": __version__, **{package: version(package) for package in PACKAGES}},
        training=training,
        generator=generator,
        discriminator=discriminator,
        variants=tuple(graph.variant for graph in graphs),
        engines=tuple(built.engine for built in parts.engines),
        probe=Probe(PROBE_FILE, sha256(probe), PROBE_IMAGES),
    )
    write_bundle(destination, manifest, files, observer)
    return manifest
