"""A bound on what the bodies of all requests hold together."""

from http import HTTPStatus

from ganport_serve.problems import ProblemError

__all__ = ["ByteBudget"]

RETRY_AFTER = 1.0  # seconds


class ByteBudget:
    """Bytes that the requests of one event loop share.

    They are taken as they arrive: a length that is only announced would let a few clients that send nothing hold all.

    Args:
        size: bytes that may be held at one time.
    """

    def __init__(self, size: int) -> None:
        self._size, self._held = size, 0

    def take(self, size: int) -> None:
        """Hold so many more.

        Raises:
            ProblemError: 503, others hold too much for them now.
        """
        if self._held + size > self._size:
            raise ProblemError.of(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"the bodies of all requests hold {self._held} bytes, and {self._size} are allowed at once; "
                "ask again soon",
                retry_after=RETRY_AFTER,
            )
        self._held += size

    def give_back(self, size: int) -> None:
        """Let go of what was taken."""
        self._held -= size
