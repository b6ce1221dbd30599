"""Reads what callers give as seconds."""

from math import inf
from typing import Any

import numpy as np

from ganport_runtime.errors import InputError
from ganport_runtime.text import shown

__all__ = ["delay_of", "limit_of"]

LONGEST_TIMEOUT = 1e9  # what is longer, some of it no float, is as good as this
LONGEST_DELAY = 3600.0


def limit_of(timeout: Any) -> float:
    """The seconds of a timeout, infinity where there is none.

    Raises:
        InputError: it is no number.
    """
    if timeout is None:
        return inf
    if type(timeout) is float and timeout <= LONGEST_TIMEOUT:  # as of every request of a server
        return timeout
    if isinstance(timeout, bool) or not isinstance(timeout, int | float | np.number) or timeout != timeout:
        raise InputError(f"timeout is {shown(timeout)}, wanted a number of seconds, or None")
    return LONGEST_TIMEOUT if timeout > LONGEST_TIMEOUT else float(timeout)


def delay_of(seconds: Any) -> float:
    """The seconds of `max_delay`.

    Raises:
        InputError: it is no number, or out of its range.
    """
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float | np.number)
        or not 0 <= seconds <= LONGEST_DELAY
    ):
        raise InputError(f"max_delay is {shown(seconds)}, wanted a number of seconds, 0 to {LONGEST_DELAY:g}")
    return float(seconds)
