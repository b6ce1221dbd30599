"""An .npy body as an array without a copy, its header checked before anything is believed."""

import io
import math
import struct
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ganport_serve.problems import ProblemError, bad_field

__all__ = ["array_of"]

READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
# What numpy raises for headers that are damaged or made to do harm.
BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, SyntaxError, OverflowError, EOFError,
          RecursionError, MemoryError, Warning, struct.error)  # fmt: skip


def array_of(body: bytes) -> NDArray[Any]:
    """The array, which reads from `body` itself.

    Raises:
        ProblemError: 400; it is no .npy, holds objects, or another number of bytes than its header says.
    """
    stream = io.BytesIO(body)
    reader = READERS[_version(stream)]
    try:
        shape, fortran, dtype = reader(stream)
    except BROKEN:  # whose texts quote Python's own objects
        raise _unreadable(
            "its header is malformed; wanted a dictionary of descr (the type), fortran_order and shape"
        ) from None
    if dtype.hasobject:
        raise bad_field("body", "the .npy holds Python objects, which are never read; send plain numbers")
    begin = stream.tell()
    wanted = math.prod(shape) * dtype.itemsize
    if any(size < 0 for size in shape) or len(body) - begin != wanted:
        raise bad_field(
            "body", f"the .npy's header promises {wanted} bytes, {len(body) - begin} follow; send all of it"
        )
    try:
        flat = np.frombuffer(body, dtype, count=math.prod(shape), offset=begin) if wanted else np.empty(0, dtype)
        return flat.reshape(shape, order="F" if fortran else "C")
    except BROKEN:
        raise bad_field(
            "body", f"the .npy's shape {list(shape)[:6]} of {dtype} cannot be; write it with numpy.save"
        ) from None


def _version(stream: io.BytesIO) -> tuple[int, int]:
    try:
        major, minor = npy.read_magic(stream)
    except BROKEN:
        raise _unreadable("it does not begin with the byte 0x93, NUMPY, and a version") from None
    if (major, minor) not in READERS:
        raise _unreadable(f"its version is {major}.{minor}, wanted 1.0 or 2.0")
    return major, minor


def _unreadable(reason: str) -> ProblemError:
    return bad_field("body", f"the body is no .npy that can be read: {reason}; write it with numpy.save")
