"""Moved to `ganport_runtime.latents`."""

from ganport_runtime.latents import LatentRows

__all__ = ["LatentRows"]
