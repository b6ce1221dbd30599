"""What each request asks for, and what a right answer to it holds: images that are known bit for bit, or anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["CHECKED", "AnyAnswer", "Expected", "Judge"]

CHECKED = 8  # one request in so many asks for an image that is known


class Judge(Protocol):
    """Chooses what is asked for, and looks at the answers of status 200."""

    def seed_of(self, number: int) -> int:
        """What the request of this number asks for."""

    def is_known(self, seed: int) -> bool:
        """Whether an answer to this seed can be compared."""

    def fault(self, seed: int, buffer: bytes | bytearray, begin: int, end: int) -> str | None:
        """What is wrong with the body `buffer[begin:end]`, or None."""


@dataclass(frozen=True)
class AnyAnswer:
    """Answers of which nothing is known: each request asks for another one, and its status alone is looked at."""

    def seed_of(self, number: int) -> int:
        """The number itself."""
        return number

    def is_known(self, seed: int) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def fault(self, seed: int, buffer: bytes | bytearray, begin: int, end: int) -> str | None:  # noqa: ARG002
        """Nothing is wrong."""
        return None


@dataclass(frozen=True)
class Expected:
    """What a right answer holds.

    Attributes:
        images: the first image of the seeds 0, 1, 2, ..., each as its bytes; all of one size.
    """

    images: Sequence[bytes]

    @property
    def image_bytes(self) -> int:
        """Of one image."""
        return len(self.images[0])

    def seed_of(self, number: int) -> int:
        """What the request of this number asks for: every eighth one an image that is known, the others a new one."""
        turn, rest = divmod(number, CHECKED)
        return turn % len(self.images) if rest == 0 else len(self.images) + number

    def is_known(self, seed: int) -> bool:
        """Whether an answer to this seed can be compared."""
        return seed < len(self.images)

    def fault(self, seed: int, buffer: bytes | bytearray, begin: int, end: int) -> str | None:
        """What is wrong with the body `buffer[begin:end]`, or None; of an unknown seed only its size is looked at."""
        if end - begin < self.image_bytes:
            return f"a body of {end - begin} bytes where the image alone has {self.image_bytes}"
        if seed < len(self.images) and not buffer.endswith(self.images[seed], begin, end):
            return "another image than Generator.sample makes"
        return None
