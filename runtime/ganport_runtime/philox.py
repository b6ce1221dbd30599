"""Moved to `ganport_runtime.latents`."""

from ganport_runtime.latents import HIGH, LOW, Philox

__all__ = ["HIGH", "LOW", "Philox"]
