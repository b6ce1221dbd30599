"""Looks at a message of gRPC before it is parsed, whose parts may be a hundred times larger in memory than on the wire.

Parsing holds up every other client. The wire format is protobuf's: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator
from http import HTTPStatus

from ganport_serve.problems import ProblemError, bad_field

__all__ = ["LONGEST_NUMBERS", "check_parts"]

MOST_PARTS = 1000  # a request for every output with every parameter has some thirty
LONGEST_NUMBERS = 8 * 2**20  # bytes, as of JSON
_INPUTS, _OUTPUTS, _RAW = 5, 6, 7  # of ModelInferRequest; no other request has such fields
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10  # bytes


def check_parts(data: bytes) -> None:
    """Refuse a message of very many parts, or of very many numbers that are not raw.

    Raises:
        ProblemError: it is such a message, or none at all.
    """
    raw = parts = 0
    for number, begin, end in _fields(data, 0, len(data)):
        parts += 1
        if number == _RAW:
            raw += end - begin
        elif number in (_INPUTS, _OUTPUTS):
            for _ in _fields(data, begin, end):
                parts += 1
                _check_count(parts)
        _check_count(parts)
    if len(data) - raw > LONGEST_NUMBERS:
        detail = f"the message has {len(data) - raw} bytes beside raw_input_contents, wanted {LONGEST_NUMBERS} or fewer"
        raise ProblemError.of(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{detail}; send its tensors raw", field="message")


def _check_count(parts: int) -> None:
    if parts > MOST_PARTS:
        raise bad_field("message", f"the message has more than {MOST_PARTS} tensors and parameters, wanted fewer")


def _fields(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The number of each field of a message, and where its content begins and ends."""
    while position < end:
        tag, position = _varint(data, position, end)
        kind = tag & 7
        if kind == _BYTES:
            size, position = _varint(data, position, end)
        elif kind == _VARINT:
            size = _varint(data, position, end)[1] - position
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(kind, end)  # others are none
        if position + size > end:
            raise _broken()
        yield tag >> 3, position, position + size
        position += size


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = 0
    for index, byte in enumerate(data[position : min(end, position + _LONGEST_VARINT)]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise _broken()


def _broken() -> ProblemError:
    return bad_field("message", "the message is broken, wanted a request of the protocol; was it cut short?")
