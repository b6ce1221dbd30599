"""Writes the answer of an HTTP request: JSON, and after it the bytes of binary tensors."""

import numpy as np
from numpy.typing import NDArray

from ganport_serve.reply import Reply
from ganport_serve.v2.core import Tensors
from ganport_serve.v2.json_tensors import text_of
from ganport_serve.v2.parsed_request import ParsedRequest

__all__ = ["image_reply", "reply_of"]

_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")
_BINARY_LINES = b"content-type: application/octet-stream\r\ninference-header-content-length: %d\r\n"


def reply_of(parsed: ParsedRequest, tensors: Tensors) -> Reply:
    """The answer as the request wants it: its outputs in its order, the bytes of an image copied once.

    Raises:
        ProblemError: numbers that JSON cannot say.
    """
    parts, arrays = [parsed.opening], list[memoryview]()
    for output in parsed.outputs:
        array = tensors[output.name]
        if output.binary:
            parts += (output.opening % (*array.shape, array.nbytes), b"}", b",")
            arrays.append(np.ascontiguousarray(array).data)
        else:
            parts += (output.opening % array.shape, text_of(array, output.name), b"]}", b",")
    parts[-1] = b"]}"
    if not arrays:
        return Reply([_JSON], b"".join(parts))
    text = b"".join(parts)
    return Reply([_BINARY, (b"inference-header-content-length", b"%d" % len(text))], b"".join((text, *arrays)))


def image_reply(parsed: ParsedRequest, images: NDArray[np.uint8]) -> tuple[bytes, bytes, memoryview]:
    """The answer to a request for images as bytes and nothing else: header lines, JSON, the images without a copy."""
    output = parsed.outputs[0]
    text = b"%b%b}]}" % (parsed.opening, output.opening % (*images.shape, images.nbytes))
    return _BINARY_LINES % len(text), text, np.ascontiguousarray(images).data.cast("B")
