"""Moved to `ganport_runtime.machine`."""

from ganport_runtime.machine import Gpu, Host, cpu_model, memory_bytes, parse_gpus, this_host

__all__ = ["Gpu", "Host", "cpu_model", "memory_bytes", "parse_gpus", "this_host"]
