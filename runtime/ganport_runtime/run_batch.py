"""Moved to `ganport_runtime.batches`."""

from ganport_runtime.batches import run_batch, run_part

__all__ = ["run_batch", "run_part"]
