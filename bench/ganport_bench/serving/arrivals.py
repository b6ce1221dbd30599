"""When requests are due in an open loop."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["constant", "poisson"]


def constant(rate: float, seconds: float) -> NDArray[np.float64]:
    """Times at equal distances, `rate` a second; float64 [rate * seconds]."""
    return np.arange(round(rate * seconds)) / rate


def poisson(rate: float, seconds: float, *, seed: int = 0) -> NDArray[np.float64]:
    """Times of independent arrivals, `rate` a second on average, in the order of time; float64 [about rate * seconds].

    Given how many there are, arrivals of a Poisson process are uniform over the time.
    """
    random = np.random.default_rng(seed)
    return np.sort(random.uniform(0, seconds, random.poisson(rate * seconds)))
