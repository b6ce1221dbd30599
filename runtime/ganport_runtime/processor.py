"""Moved to `ganport_runtime.machine`."""

from ganport_runtime.machine import cpu_model, cpu_quota, usable_cores

__all__ = ["cpu_model", "cpu_quota", "usable_cores"]
