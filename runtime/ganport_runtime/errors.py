"""The runtime's error types, the checks of arguments that raise them, and how values become part of one line."""

import operator
from collections.abc import Sequence
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import DTypeLike, NDArray

LONGEST_INTEGER = 2**128  # Python refuses to print integers of thousands of digits


class BundleError(Exception):
    """A bundle that cannot be trusted: missing, altered, malformed, or of an unknown format."""


class PlanError(RuntimeError):
    """No plan can run what was asked for on this machine; the text says what can be mended, failures first."""


class ClosedError(RuntimeError):
    """A generator or discriminator was used after it was closed."""


class InputError(ValueError):
    """An argument of the wrong kind, shape, dtype or range."""


def shown(value: object, limit: int = 60) -> str:
    """The `repr` of a value that was given, cut to `limit` characters."""
    if isinstance(value, int) and abs(value) >= LONGEST_INTEGER:
        return f"an integer of {value.bit_length()} bits"
    return one_line(repr(value), limit)


def one_line(text: str, limit: int = 300) -> str:
    """`text` with every run of white space as one blank, cut to `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def whole_number(name: str, value: SupportsIndex, low: int, high: int) -> int:
    """`value` as a Python integer from `low` to `high`; InputError for a bool, a float or anything else."""
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
    """Raise InputError unless `value` is one of the allowed words."""
    if value not in allowed:
        raise InputError(f"{name} is {shown(value)}, wanted one of {', '.join(allowed)}")


def batch_of(name: str, value: NDArray[Any], dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """`value` as a contiguous array [n, *shape] of `dtype`, copied only where it must be; InputError for others."""
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
    """An array for results, not yet filled; InputError where it does not fit in memory."""
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError):  # ValueError: more than any machine can address
        size = f"{np.dtype(dtype).name} {list(shape)}"
        raise InputError(f"{size} does not fit in memory; ask for fewer at a time, or use stream()") from None


def _power(high: int) -> str:
    for power, suffix in ((high, ""), (high + 1, " - 1")):
        if power >= 2**16 and power & (power - 1) == 0:
            return f"2^{power.bit_length() - 1}{suffix}"
    return str(high)
