"""The error type of the benchmark; its text says what was given, what is wanted and what to do."""

__all__ = ["BenchError"]


class BenchError(Exception):
    """Base of every error that this part raises on purpose."""
