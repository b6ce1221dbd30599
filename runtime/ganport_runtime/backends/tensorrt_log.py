"""Moved to `ganport_runtime.backends.tensorrt_session`."""

from ganport_runtime.backends.tensorrt_session import log_of

__all__ = ["log_of"]
