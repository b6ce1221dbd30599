"""Errors of a server, beyond those of the runtime."""

DRAINING = "the server is stopping; ask another one"


class ServeError(Exception):
    """A server that cannot start or go on; the text says why and what to do."""


class NotReadyError(ServeError):
    """The server is starting, draining or has lost its replicas: ask again.

    `retry_after`: seconds after which to ask again.
    """

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnknownModelError(ServeError):
    """No model or version of this name is served."""


def no_discriminator(bundle: str) -> UnknownModelError:
    """The error for a request that needs the discriminator, which the bundle of this name lacks."""
    return UnknownModelError(f"bundle {bundle!r} has no discriminator; serve one that was exported with it")
