"""What stops `make gpu`."""

__all__ = ["GpuError"]


class GpuError(Exception):
    """One line: what was given, what is wanted, what to do."""
