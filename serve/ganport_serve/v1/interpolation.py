"""The way from one latent to another along the great circle between them."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["slerp"]

NEARLY_PARALLEL = 1e-6  # of the sine of the angle; below it the arc is a straight line to float32's last bit


def slerp(first: NDArray[np.float32], last: NDArray[np.float32], t: NDArray[np.float64]) -> NDArray[np.float32]:
    """Spherical linear interpolation, float32 [len(t), dim].

    z(t) = (sin((1 - t) w) first + sin(t w) last) / sin(w), where w is the angle between the two (Shoemake 1985,
    Animating Rotation with Quaternion Curves; for the latents of generators White 2016, Sampling Generative Networks).
    A straight line would pass through lengths that normal latents of many numbers do not have. Both ends are exact.

    Args:
        first: [dim], the latent at t = 0.
        last: [dim], the latent at t = 1.
        t: [n], each from 0 to 1.
    """
    a, b = first.astype(np.float64), last.astype(np.float64)
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    cosine = a @ b / lengths if lengths > 0 else 1.0
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    sine = np.sin(angle)
    shares = np.stack([1 - t, t])
    weights = shares if sine < NEARLY_PARALLEL else np.sin(shares * angle) / sine
    path: NDArray[np.float32] = (weights.T @ np.stack([a, b])).astype(np.float32)
    return path
