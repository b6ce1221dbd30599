"""Moved to `ganport_runtime.manifest`."""

from ganport_runtime.manifest import PRECISIONS, Engine, Entry, Probe, Role, Variant

__all__ = ["PRECISIONS", "Engine", "Entry", "Probe", "Role", "Variant"]
