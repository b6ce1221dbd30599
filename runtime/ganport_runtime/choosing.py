"""Moved to `ganport_runtime.opening`."""

from ganport_runtime.opening import Choice, choose

__all__ = ["Choice", "choose"]
