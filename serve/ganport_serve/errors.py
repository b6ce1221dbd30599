"""What a server refuses beyond what the runtime refuses."""

__all__ = ["NotReadyError", "ServeError", "UnknownModelError", "no_discriminator"]


class ServeError(Exception):
    """A server that cannot start or go on; the text says why and what to do."""


class NotReadyError(ServeError):
    """The server is starting, draining or has lost its replicas: ask again.

    Attributes:
        retry_after: seconds after which to ask again.
    """

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnknownModelError(ServeError):
    """No model or version of this name is served."""


def no_discriminator(bundle: str) -> UnknownModelError:
    """The refusal of what only a discriminator can do, by the bundle of this name, which has none."""
    return UnknownModelError(f"bundle {bundle!r} has no discriminator; serve one that was exported with it")
