"""Looks at a generator's values before they become pixels, where clipping would hide what is wrong with them."""

import numpy as np

from ganport_export.errors import ModuleError
from ganport_export.observer import Observer
from ganport_export.reference import Reference

__all__ = ["MAX_SHARE_CLIPPED", "check_values"]

FULL = 1 + 1 / 255  # beyond it a value would be a whole pixel step outside 0..255
MAX_SHARE_CLIPPED = 0.1  # more is no stray value: the network returns another range


def check_values(reference: Reference, observer: Observer) -> None:
    """Refuse values that are no images in [-1, 1]; tell the observer of what clipping or a wrong range would hide.

    Raises:
        ModuleError: NaN or infinity, or more than a tenth of the values outside [-1, 1].
    """
    values = reference.values
    bad = ~np.isfinite(values).all(axis=(1, 2, 3))
    if bad.any():
        image = int(np.argmax(bad))
        raise ModuleError(
            f"the network's output is not finite: NaN or infinity in image {image} of seed {reference.seed}"
        )
    clipped = float(np.mean(np.abs(values) > FULL))
    where = f"{clipped:.2%} of the network's values are outside [-1, 1] (from {values.min():.3g} to {values.max():.3g})"
    if clipped > MAX_SHARE_CLIPPED:
        raise ModuleError(f"{where}: end the network in tanh, or scale its images to [-1, 1]")
    if clipped:
        observer(f"{where} and are clipped")
    if values.min() >= 0 and values.max() > 0:
        observer("no value of the network's is below 0: does it return images in [0, 1]? [-1, 1] is wanted")
    if len(values) > 1 and np.ptp(values, axis=0).max() == 0:
        observer("the network makes the same image of every latent")
