"""Tensors as JSON: lists of numbers, flat or nested, to numpy and back."""

import json
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import chain
from typing import Any

import numpy as np
from ganport_runtime.text import shown
from numpy.typing import NDArray

from ganport_serve.problems import ProblemError, bad_field
from ganport_serve.v2.datatypes import dtype_of

__all__ = ["array_of", "text_of"]

# every byte as four characters, so that pixels become JSON by one look-up each: JSON ignores the blanks
_PIXELS = np.frombuffer(b"".join(b"%3d," % value for value in range(256)), np.uint32)

_KINDS: Mapping[str, set[type]] = {"b": {bool}, "f": {int, float}}  # a bool is an int to Python, not to the protocol


def array_of(data: object, datatype: str, shape: Sequence[int], field: str) -> NDArray[Any]:
    """The tensor of a flat or nested list.

    Args:
        data: numbers in row-major order, or lists of lists as `shape` has it.
        datatype: the protocol's name.
        shape: what the request declares.
        field: where `data` stands in the request.

    Raises:
        ProblemError: `data` is no list, has another number of elements, another kind of element than the datatype,
            or one that the datatype cannot hold.
    """
    items = _flat(data, shape, field)
    dtype = dtype_of(datatype, field)
    if len(items) != math.prod(shape):
        raise bad_field(
            field,
            f"{field} has {len(items)} elements, wanted {shown(math.prod(shape))} for the shape {shown(list(shape))}",
        )
    kinds = set(map(type, items))
    allowed = _KINDS.get(dtype.kind, {int})
    if not kinds <= allowed:
        wanted = {"b": "true or false", "f": "numbers"}.get(dtype.kind, "whole numbers")
        item = next(item for item in items if type(item) not in allowed)
        raise bad_field(field, f"{field} holds {shown(item)}, wanted {wanted} for {datatype}")
    return (_floats if dtype.kind == "f" else _whole)(items, dtype, field).reshape(shape)


def text_of(array: NDArray[Any], name: str) -> bytes:
    """The elements in row-major order as JSON has them, without the brackets around.

    Raises:
        ProblemError: it holds NaN or infinity, which JSON cannot say.
    """
    if array.dtype == np.uint8:
        return np.take(_PIXELS, array).tobytes()[:-1]
    # row by row, so that other threads get their turn between two rows
    rows = array.reshape(len(array), -1) if array.ndim > 1 else array.reshape(1, -1)
    try:
        return ",".join(json.dumps(row.tolist(), allow_nan=False, separators=(",", ":"))[1:-1] for row in rows).encode()
    except ValueError:
        detail = f"{name} came out as NaN or infinity, which JSON cannot say; ask for it as binary data"
        raise ProblemError.of(HTTPStatus.INTERNAL_SERVER_ERROR, detail, field=name) from None


def _flat(data: object, shape: Sequence[int], field: str) -> list[Any]:
    if not isinstance(data, list):
        raise bad_field(field, f"{field} is {shown(data)}, wanted a list of numbers")
    if not (data and isinstance(data[0], list)):
        return data
    items = data
    for depth, size in enumerate(shape[1:], start=1):
        if not all(type(item) is list and len(item) == size for item in items):
            detail = f"{field} holds, {depth} deep, something else than lists of {shown(size)}"
            raise bad_field(field, f"{detail}, wanted the shape {shown(list(shape))}")
        items = list(chain.from_iterable(items))
    return items


def _whole(items: list[Any], dtype: np.dtype[Any], field: str) -> NDArray[Any]:
    if dtype.kind != "b" and items:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        for item in (min(items), max(items)):
            if not low <= item <= high:
                raise bad_field(field, f"{field} holds {shown(item)}, wanted {low} to {high}")
    return np.array(items, dtype)


def _floats(items: list[Any], dtype: np.dtype[Any], field: str) -> NDArray[Any]:
    try:
        with np.errstate(over="ignore"):
            array = np.array(items, np.float64).astype(dtype)
    except OverflowError:  # a whole number beyond every float
        array = np.array([np.inf], dtype)
    if not np.isfinite(array).all():
        raise bad_field(
            field, f"{field} holds a number beyond the range of {dtype.name}, wanted finite numbers within it"
        )
    return array
