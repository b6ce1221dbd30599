"""What the hot path answers: headers and a body, and no more."""

from dataclasses import dataclass

__all__ = ["Reply"]


@dataclass(frozen=True)
class Reply:
    """An answer of status 200.

    Attributes:
        headers: names in lower case, without the body's length.
        body: its bytes.
    """

    headers: list[tuple[bytes, bytes]]
    body: bytes | bytearray | memoryview
