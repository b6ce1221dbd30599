"""The protocol's names of datatypes and the numpy dtypes that stand for them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ganport_runtime.text import shown

from ganport_serve.problems import bad_field

__all__ = ["DTYPES", "INTEGERS", "dtype_of"]

# tensors travel in little-endian order, whatever the machine
DTYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}
INTEGERS = ("UINT64", "UINT32", "UINT16", "UINT8", "INT64", "INT32", "INT16", "INT8")


def dtype_of(datatype: str, field: str) -> np.dtype[Any]:
    """The numpy dtype of a datatype.

    Raises:
        ProblemError: the protocol has no such name, or it is one that no model here takes.
    """
    if datatype in ("BYTES", "BF16"):
        raise bad_field(field, f"{field} is {datatype}, which no model here takes; wanted one of {', '.join(DTYPES)}")
    dtype = DTYPES.get(datatype)
    if dtype is None:
        raise bad_field(field, f"{field} is {shown(datatype)}, wanted one of {', '.join(DTYPES)}")
    return dtype
