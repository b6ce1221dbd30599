"""Runs a finished graph as its users will: from its bytes, through the runtime's own backend, on the CPU."""

from typing import Any

import numpy as np
import numpy.typing as npt
from ganport_runtime.backends import Session, load_backend
from ganport_runtime.manifest import Role, Variant

from ganport_export.errors import ExportError
from ganport_export.reference import Pixels

__all__ = ["DiscriminatorSession", "GeneratorSession"]

BACKEND, DEVICE = "onnxruntime", "cpu"


class GeneratorSession:
    """A generator's graph, ready to run."""

    def __init__(self, graph: bytes) -> None:
        self._session = _open(graph, "generator")

    def __call__(self, z: npt.NDArray[np.float32]) -> Pixels:
        """Pixels uint8 [n, height, width, channels] of latents float32 [n, latent_dim]."""
        return self._session.run(("image",), {"z": z})[0]


class DiscriminatorSession:
    """A discriminator's graph, ready to run."""

    def __init__(self, graph: bytes) -> None:
        self._session = _open(graph, "discriminator")

    def __call__(self, pixels: Pixels) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Logits float32 [n] and features float32 [n, F] of pixels uint8 [n, height, width, channels]."""
        logit, features = self._session.run(("logit", "features"), {"image": pixels})
        return logit, features


def _open(graph: bytes, role: Role) -> Session:
    backend = load_backend(BACKEND)
    refusal = backend.refusal(DEVICE)
    if refusal is not None:
        raise ExportError(f"an exported graph cannot be checked here: {refusal}")
    entry = Variant(f"{role}-graph", role, "graph.onnx", "", precision="fp32", form="any")  # in no bundle yet
    return backend.open(graph, entry=entry, device=DEVICE, threads=None)
