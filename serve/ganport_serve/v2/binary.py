"""The binary tensor data extension: where a JSON header ends, and the bytes of each tensor after it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ganport_runtime.text import shown
from numpy.typing import NDArray

from ganport_serve.problems import bad_field
from ganport_serve.v2.datatypes import dtype_of

__all__ = ["HEADER_LENGTH", "Slot", "header_length", "sized"]

HEADER_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True, slots=True)
class Slot:
    """Where one tensor's bytes lie after the header.

    Attributes:
        dtype: of the tensor.
        shape: of the tensor.
        count: elements.
        offset: bytes from the header's end.
        size: bytes.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    count: int
    offset: int
    size: int

    def array(self, body: bytes, start: int) -> NDArray[Any]:
        """The tensor: a view of the body, copied only where it is not aligned.

        Args:
            body: long enough to hold it.
            start: where the header ends.
        """
        array = np.frombuffer(body, self.dtype, self.count, start + self.offset)
        return (array if array.flags.aligned else array.copy()).reshape(self.shape)


def header_length(value: bytes | None, body: bytes) -> int:
    """How many bytes of the body are JSON.

    Args:
        value: of the header `Inference-Header-Content-Length`; None: all of the body.
        body: of the request.

    Raises:
        ProblemError: it is no number, or more than there is.
    """
    if value is None:
        return len(body)
    if not (value.isdigit() and len(value) < 20):
        raise bad_field(HEADER_LENGTH, f"{HEADER_LENGTH} is {shown(value.decode('latin-1'))}, wanted a number of bytes")
    length = int(value)
    if length > len(body):
        raise bad_field(
            HEADER_LENGTH, f"{HEADER_LENGTH} is {length}, but the body has {len(body)} bytes; was it cut short?"
        )
    return length


def sized(size: object, datatype: str, shape: Sequence[int], offset: int, field: str) -> Slot:
    """The place of a tensor that says how many bytes it has.

    Args:
        size: its parameter `binary_data_size`.
        datatype: the protocol's name.
        shape: what the request declares.
        offset: bytes of the tensors before it.
        field: of the parameter.

    Raises:
        ProblemError: the size is not that of its datatype and shape.
    """
    dtype, count = dtype_of(datatype, field), math.prod(shape)
    if type(size) is not int or size != count * dtype.itemsize:
        wanted = f"wanted {shown(count * dtype.itemsize)} for {datatype} {shown(list(shape))}"
        raise bad_field(field, f"{field}: {shown(size)} bytes, {wanted}")
    return Slot(dtype, tuple(shape), count, offset, size)
