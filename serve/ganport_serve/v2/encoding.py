"""Content encodings of HTTP: compressed requests are read within a bound, answers compressed where it is asked for."""

import asyncio
import zlib
from http import HTTPStatus

from ganport_runtime.text import shown

from ganport_serve.problems import ProblemError, bad_field
from ganport_serve.reply import Reply

__all__ = ["compressed", "decompressed"]

FIELD = "Content-Encoding"
_WINDOWS = {b"gzip": zlib.MAX_WBITS + 16, b"deflate": zlib.MAX_WBITS}  # deflate on the web is zlib's format
_FAST = 1  # pixels hardly shrink at any level


async def decompressed(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The body behind its content encoding.

    Args:
        body: of the request.
        encoding: the header's value.
        limit: bytes that it may have.

    Raises:
        ProblemError: an encoding that is not read, bytes that are not of it, or more of them than the limit.
    """
    encoding = encoding.lower()
    if encoding == b"identity":
        return body
    if encoding not in _WINDOWS:
        detail = f"{FIELD} is {shown(encoding.decode('latin-1'))}, wanted gzip, deflate or none"
        raise ProblemError.of(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, field=FIELD)
    return await asyncio.to_thread(_inflated, body, encoding, limit)


async def compressed(reply: Reply, accepted: bytes) -> Reply:
    """The answer in the one encoding that a request asks for.

    Libraries and browsers offer lists of encodings by themselves, with every request; pixels of a generator would
    cost much time for few bytes. Who names a single one, as clients of the protocol do for their users, gets it.
    """
    if accepted not in _WINDOWS:
        return reply
    body = await asyncio.to_thread(_deflated, bytes(reply.body), accepted)
    return Reply([*reply.headers, (b"content-encoding", accepted)], body)


def _inflated(body: bytes, encoding: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(_WINDOWS[encoding])
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise bad_field("body", f"the body is no {encoding.decode()}: {error}") from None
    if len(plain) > limit:
        detail = (
            f"the body holds more than {limit} bytes once decompressed, wanted {limit} or fewer; ask for less at a time"
        )
        raise ProblemError.of(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, field="body")
    if not stream.eof or stream.unused_data:
        what = "more than one stream" if stream.eof else "cut short"
        raise bad_field("body", f"the body is {what}, wanted one whole stream of {encoding.decode()}")
    return plain


def _deflated(body: bytes, encoding: bytes) -> bytes:
    stream = zlib.compressobj(_FAST, wbits=_WINDOWS[encoding])
    return stream.compress(body) + stream.flush()
