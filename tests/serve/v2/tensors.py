"""Requests as tritonclient makes them, for either protocol, and the numbers in them."""

from typing import Any

import numpy as np
import tritonclient.http as triton_http  # type: ignore[import-untyped]
from numpy.typing import NDArray
from tritonclient.utils import np_to_triton_dtype  # type: ignore[import-untyped]

LATENT_DIM = 10
LAST = 2**64 - 1

Array = NDArray[Any]


def tensors(protocol: Any, arrays: dict[str, Array], *, binary: bool = True) -> list[Any]:
    """Inputs; over HTTP as JSON where not `binary`."""
    made = []
    for name, array in arrays.items():
        tensor = protocol.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
        words = {"binary_data": binary} if protocol is triton_http else {}
        tensor.set_data_from_numpy(array, **words)
        made.append(tensor)
    return made


def asked(protocol: Any, *names: str, binary: bool = True) -> list[Any]:
    """Outputs that a request wants; over HTTP as JSON where not `binary`."""
    words = {"binary_data": binary} if protocol is triton_http else {}
    return [protocol.InferRequestedOutput(name, **words) for name in names]


def seeded(seed: int, count: int | None = None, start: int | None = None) -> dict[str, Array]:
    """The inputs that ask for images of a seed."""
    arrays: dict[str, Array] = {"seed": np.array([seed], np.uint64)}
    if count is not None:
        arrays["count"] = np.array([count], np.uint32)
    if start is not None:
        arrays["start"] = np.array([start], np.uint64)
    return arrays


def latents(rows: int, seed: int = 0) -> NDArray[np.float32]:
    """Latents [rows, latent_dim]."""
    return np.random.default_rng(seed).standard_normal((rows, LATENT_DIM), np.float32)
