"""The inference engines that can run a bundle, each in one file behind one protocol.

A new backend is one new file, whose class is `BACKEND`, and one line here. A backend's file is imported when a bundle
is opened, and its library when it is first asked for.
"""

from functools import cache
from importlib import import_module
from typing import cast

from ganport_runtime.backends.protocol import Backend, Session, Tensor

__all__ = ["BACKENDS", "Backend", "Session", "Tensor", "load_backend"]

# In the order in which they are tried where the caller leaves the choice open.
BACKENDS = ("onnxruntime", "openvino", "tensorrt")


@cache
def load_backend(name: str) -> Backend:
    """The backend of one of the names in `BACKENDS`."""
    return cast(Backend, import_module(f"{__name__}.{name}").BACKEND())
