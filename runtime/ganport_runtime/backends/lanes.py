"""Moved to `ganport_runtime.backends.cuda`."""

from ganport_runtime.backends.cuda import ExecutionContexts

__all__ = ["ExecutionContexts"]
