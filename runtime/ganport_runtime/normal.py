"""Moved to `ganport_runtime.latents`."""

from ganport_runtime.latents import BoxMuller

__all__ = ["BoxMuller"]
