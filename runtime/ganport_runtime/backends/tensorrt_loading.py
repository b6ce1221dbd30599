"""Moved to `ganport_runtime.backends.tensorrt_session`."""

from ganport_runtime.backends.tensorrt_session import checked_bytes, load_engine

__all__ = ["checked_bytes", "load_engine"]
