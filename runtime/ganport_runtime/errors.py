"""The runtime's few error types; the text of each says what was given, what is wanted and what to do."""

__all__ = ["BundleError", "ClosedError", "InputError", "PlanError"]


class BundleError(Exception):
    """A bundle that cannot be trusted: missing, altered, malformed, or of an unknown format."""


class PlanError(RuntimeError):
    """No plan can run what was asked for on this machine; the text says what can be mended, failures first."""


class ClosedError(RuntimeError):
    """A generator or discriminator was used after it was closed."""


class InputError(ValueError):
    """An argument of the wrong kind, shape, dtype or range."""
