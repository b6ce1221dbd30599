"""Checks of arguments, each raising the line that says what was given and what is wanted."""

import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ganport_runtime.errors import InputError, shown

__all__ = ["allocate", "batch_of", "one_of", "whole_number"]


def whole_number(name: str, value: SupportsIndex, low: int, high: int) -> int:
    """`value` as a Python integer from `low` to `high`.

    Raises:
        InputError: it is a bool, a float or anything else, or out of range.
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise InputError(f"{name} is {shown(value)}, wanted a whole number")
    if not low <= number <= high:
        raise InputError(f"{name} is {shown(number)}, wanted {low} to {_power(high)}")
    return number


def one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    """Check that `value` is one of the allowed words.

    Raises:
        InputError: it is not.
    """
    if value not in allowed:
        raise InputError(f"{name} is {shown(value)}, wanted one of {', '.join(allowed)}")


def batch_of(name: str, value: NDArray[Any], dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """`value` as a contiguous array [n, *shape] of `dtype`, copied only where it is not contiguous.

    Raises:
        InputError: it is no array of that dtype and shape, or holds NaN or infinity.
    """
    wanted = f"{dtype} [n, {', '.join(map(str, shape))}]"
    if not isinstance(value, np.ndarray):
        raise InputError(f"{name} is {type(value).__name__}, wanted a numpy array {wanted}")
    if value.dtype != dtype or value.shape[1:] != shape or value.ndim == 0:
        raise InputError(f"{name} is {value.dtype} {list(value.shape)}, wanted {wanted}")
    if dtype == "float32" and not np.isfinite(value).all():
        row = int(np.flatnonzero(~np.isfinite(value).all(axis=1))[0])
        raise InputError(f"{name} holds NaN or infinity, first in row {row}; wanted finite numbers")
    return np.ascontiguousarray(value)


def allocate(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array for results, not yet filled.

    Raises:
        InputError: it does not fit in memory.
    """
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError):  # ValueError: more than any machine can address
        size = f"{np.dtype(dtype).name} {list(shape)}"
        raise InputError(f"{size} does not fit in memory; ask for fewer at a time, or use stream()") from None


def _power(high: int) -> str:
    """Limits such as 2^64 - 1 in the form in which people know them."""
    for power, suffix in ((high, ""), (high + 1, " - 1")):
        if power >= 2**16 and power & (power - 1) == 0:
            return f"2^{power.bit_length() - 1}{suffix}"
    return str(high)
