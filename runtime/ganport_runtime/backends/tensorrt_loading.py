"""Moved to `ganport_runtime.backends.tensorrt_session`."""

from ganport_runtime.backends.tensorrt_session import load_engine

__all__ = ["load_engine"]
