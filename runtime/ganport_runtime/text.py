"""Moved to `ganport_runtime.errors`."""

from ganport_runtime.errors import one_line, shown

__all__ = ["one_line", "shown"]
