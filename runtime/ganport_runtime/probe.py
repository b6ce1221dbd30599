"""Moved to `ganport_runtime.self_test`."""

from ganport_runtime.self_test import ProbeData, read_probe

__all__ = ["ProbeData", "read_probe"]
