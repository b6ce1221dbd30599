"""Reads a model repository as Triton does, and makes bundles with engines that no machine here could build."""

import hashlib
from pathlib import Path
from typing import Any

from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc import model_config_pb2  # type: ignore[import-untyped]

from tests.support.bundles import Weights, make_bundle, read_manifest, write_manifest

BUCKETS = [1, 2, 4, 8, 16, 32, 64]


def config_of(repository: Path, model: str) -> Any:
    """A model's configuration, read by Triton's own protobuf."""
    text = (repository / model / "config.pbtxt").read_text(encoding="utf-8")
    return text_format.Parse(text, model_config_pb2.ModelConfig())


def tensors_of(described: Any) -> dict[str, tuple[str, list[int]]]:
    """The name, type and dimensions of inputs or outputs."""
    names = model_config_pb2.DataType.Name
    return {tensor.name: (names(tensor.data_type), list(tensor.dims)) for tensor in described}


def make_engine_bundle(path: Path, weights: Weights, library: str, *, batches: list[int] | None = None) -> Path:
    """A bundle whose generator has an engine of a library; its bytes stand for those of a real one."""
    make_bundle(path, weights)
    data = f"an engine of {library}".encode()
    (path / "generator.engine").write_bytes(data)
    dim, *_ = weights.generator.shape
    profiles = [
        {"bucket": batch, "min": [batch, dim], "opt": [batch, dim], "max": [batch, dim]} for batch in batches or BUCKETS
    ]
    engine = {
        "id": f"generator-deconv-fp32-{library}",
        "variant": "generator-deconv-fp32",
        "file": "generator.engine",
        "sha256": hashlib.sha256(data).hexdigest(),
        "library": library,
        "library_version": "11.4.0",
        "compute_capabilities": ["8.9"],
        "profiles": profiles,
        "precision": "fp32",
    }
    document = read_manifest(path)
    write_manifest(path, document | {"engines": [engine]})
    return path
