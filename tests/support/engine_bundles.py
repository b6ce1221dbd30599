"""Bundles that hold engines, built for real of the small graphs of `typed_graphs`."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ganport_runtime.manifest import CompiledEngine, GeneratorInfo, ImageInfo, LatentInfo, Manifest

from tests.support.typed_graphs import IMAGE, LATENT, Source

if TYPE_CHECKING:
    from ganport_export.engines import BuiltEngine


def make_engine_bundle(path: Path, sources: Iterable[Source], engines: "Iterable[BuiltEngine]") -> Path:
    """Write a bundle of generators' graphs and engines into a new directory."""
    (path / "engines").mkdir(parents=True)
    sources, engines = list(sources), list(engines)
    for source in sources:
        (path / source.variant.file).write_bytes(source.data)
    for built in engines:
        (path / built.engine.file).write_bytes(built.data)
    write_manifest(path, sources, [built.engine for built in engines])
    return path


def write_manifest(path: Path, sources: Iterable[Source], engines: Iterable[CompiledEngine]) -> None:
    manifest = Manifest(
        name="engines",
        created="2026-11-22T12:00:00+00:00",
        toolchain={},
        training={},
        generator=GeneratorInfo(LatentInfo(LATENT), ImageInfo(*IMAGE)),
        discriminator=None,
        variants=tuple(source.variant for source in sources),
        engines=tuple(engines),
    )
    (path / "manifest.json").write_text(json.dumps(manifest.to_json()), encoding="utf-8")
