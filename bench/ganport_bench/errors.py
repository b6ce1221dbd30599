"""The error types of evaluation and benchmark; the text of each says what was given, what is wanted and what to do."""

__all__ = ["BenchError", "FeaturesError"]


class BenchError(Exception):
    """Base of every error that this part raises on purpose."""


class FeaturesError(BenchError):
    """A bundle or images whose features cannot be evaluated."""
