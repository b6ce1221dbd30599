"""Moved to `ganport_runtime.machine`."""

from ganport_runtime.machine import Host, NvidiaGpu, cpu_model, memory_bytes, parse_gpus, this_host

__all__ = ["Host", "NvidiaGpu", "cpu_model", "memory_bytes", "parse_gpus", "this_host"]
