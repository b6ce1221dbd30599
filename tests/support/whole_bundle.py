"""A bundle that has one of everything, to be damaged in every way and mended again."""

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ganport_runtime import Bundle, BundleError, Discriminator, Generator
from numpy.typing import NDArray

from tests.support.bundles import Weights, add_probe, make_bundle, read_manifest, write_manifest

MANIFEST, ENGINE, PROBE = "manifest.json", "engines/generator-deconv-fp32-tensorrt_rtx.engine", "probe.npz"
GRAPH, OTHER_GRAPH = "generator-deconv-fp32.onnx", "discriminator-deconv-fp32.onnx"
STAMPED = (GRAPH, OTHER_GRAPH, ENGINE, PROBE)  # files whose digest the manifest holds
Made = tuple[NDArray[np.uint8], NDArray[np.float32]]


@dataclass(frozen=True)
class Whole:
    """A bundle as it was written, in a folder that is mended after each damage."""

    path: Path
    files: dict[str, bytes]
    made: Made

    @property
    def manifest(self) -> Any:
        return json.loads(self.files[MANIFEST])

    def mend(self) -> None:
        for name, data in self.files.items():
            file = self.path / name
            if file.is_symlink():
                file.unlink()
            elif file.is_dir():
                file.rmdir()
            file.write_bytes(data)

    def write(self, document: Any) -> None:
        (self.path / MANIFEST).write_text(json.dumps(document), encoding="utf-8")


def make_whole(path: Path, weights: Weights) -> Whole:
    """A generator, a discriminator, an engine, a probe and the samples' picture."""
    make_bundle(path, weights)
    (path / "engines").mkdir()
    (path / ENGINE).write_bytes(random.Random(0).randbytes(500))
    (path / "samples.png").write_bytes(b"\x89PNG no reader of the runtime's looks at this")
    document = read_manifest(path)
    document["engines"] = [
        {
            "id": "generator-deconv-fp32-tensorrt_rtx",
            "variant": "generator-deconv-fp32",
            "file": ENGINE,
            "sha256": hashlib.sha256((path / ENGINE).read_bytes()).hexdigest(),
            "library": "tensorrt_rtx",
            "library_version": "1.7.1",
            "compute_capabilities": ["8.6", "8.9"],
            "profiles": [{"bucket": 1, "min": 1, "opt": 1, "max": 1}],
            "precision": "fp32",
            "platform": "linux-x86_64",
        }
    ]
    document["variants"][0]["fidelity"] = {"psnr_db_mean": 100.0, "psnr_db_worst": 100.0, "images": 1024}
    write_manifest(path, document)
    add_probe(path, weights)
    files = {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    return Whole(path, files, made(path))


def made(path: Path) -> Made:
    """What the bundle makes, after every digest was checked."""
    Bundle.open(path).verify()
    with (
        Generator.open(path, backend="onnxruntime", device="cpu", threads=1) as generator,
        Discriminator.open(path, backend="onnxruntime", device="cpu", threads=1) as discriminator,
    ):
        images = generator.sample(2, seed=4)
        return images, discriminator.score(images)


def is_refused(whole: Whole, what: object = None) -> bool:
    """Whether the bundle as it is now is refused; where it is not, it makes what it made when it was whole."""
    line = ""
    try:
        images, logits = made(whole.path)
    except BundleError as error:
        line = str(error)
    if line:
        assert "\n" not in line, what
        assert str(whole.path) in line, what
        return True
    assert np.array_equal(images, whole.made[0]), what
    assert np.array_equal(logits, whole.made[1]), what
    return False
