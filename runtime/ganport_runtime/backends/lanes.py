"""Moved to `ganport_runtime.backends.cuda`."""

from ganport_runtime.backends.cuda import Lanes

__all__ = ["Lanes"]
