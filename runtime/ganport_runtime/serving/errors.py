"""Why a batcher did not make what it was asked for."""

__all__ = ["DeadlineError", "QueueFullError"]


class QueueFullError(RuntimeError):
    """The queue holds all that it may; the request was not accepted.

    Attributes:
        retry_after: seconds after which there should be room, from the measured speed.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DeadlineError(TimeoutError):
    """The request would have been late, and was dropped before it cost the engine anything."""
