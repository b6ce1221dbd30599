"""An .npy body as an array without a copy, its header checked before anything is believed."""

import io
import math
import struct
from typing import Any

import numpy as np
from ganport_runtime.text import one_line
from numpy.lib import format as npy
from numpy.typing import NDArray

from ganport_serve.v1.query import bad

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
    try:
        reader = READERS[npy.read_magic(stream)]
        shape, fortran, dtype = reader(stream)
    except BROKEN as error:
        reason = one_line(str(error), 120) or type(error).__name__
        raise bad("body", f"the body is no .npy that can be read ({reason}); write it with numpy.save") from None
    if dtype.hasobject:
        raise bad("body", "the .npy holds Python objects, which are never read; send plain numbers")
    begin = stream.tell()
    wanted = math.prod(shape) * dtype.itemsize
    if any(size < 0 for size in shape) or len(body) - begin != wanted:
        raise bad("body", f"the .npy's header promises {wanted} bytes, {len(body) - begin} follow; send all of it")
    try:
        flat = np.frombuffer(body, dtype, count=math.prod(shape), offset=begin) if wanted else np.empty(0, dtype)
        return flat.reshape(shape, order="F" if fortran else "C")
    except BROKEN:
        raise bad(
            "body", f"the .npy's shape {list(shape)[:6]} of {dtype} cannot be; write it with numpy.save"
        ) from None
