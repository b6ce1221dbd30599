"""The images of a request's body, in each of the forms in which they may come."""

import base64
import json
from http import HTTPStatus

import numpy as np
from ganport_runtime.text import one_line, shown
from numpy.typing import NDArray

from ganport_serve.problems import ProblemError, bad_field
from ganport_serve.v1.formats import NPY
from ganport_serve.v1.multipart import boundary_of, files
from ganport_serve.v1.npy import array_of

__all__ = ["content_of"]

Images = NDArray[np.uint8]

FILES = ("image/png", "image/jpeg", "image/webp")
ACCEPTED = ("multipart/form-data", *FILES, NPY, "application/json")
WANTED = 'wanted {"images": ["<base64 of a PNG, JPEG or WebP file>", ...]}'


def content_of(content_type: str, body: bytes, shape: tuple[int, int, int], most: int) -> list[bytes] | Images:
    """Image files that are yet to be decoded, or the images themselves, uint8 [n, *shape]; 1 to `most` of them.

    Args:
        content_type: the header, which decides how the body is read.
        body: of the request.
        shape: (height, width, channels) that the discriminator takes.
        most: images of one request.

    Raises:
        ProblemError: 415 for another content-type; 400 for a body that does not hold such images.
    """
    match content_type.partition(";")[0].strip().lower():
        case "multipart/form-data":
            return files(body, boundary_of(content_type), most)
        case kind if kind in FILES:
            return [body]
        case "application/json":
            return _encoded(body, most)
        case kind if kind == NPY:
            return _array(body, shape, most)
        case kind:
            detail = f"content-type is {shown(kind)}, wanted one of {', '.join(ACCEPTED)}"
            raise ProblemError.of(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, field="content-type")


def _array(body: bytes, shape: tuple[int, int, int], most: int) -> Images:
    array = array_of(body)
    if array.dtype != np.uint8 or array.shape[1:] != shape or array.ndim == 0:
        given = f"{array.dtype} {list(array.shape)[:6]}"
        raise bad_field("body", f"the .npy holds {given}, wanted uint8 [n, {', '.join(map(str, shape))}]")
    if not 1 <= len(array) <= most:
        raise bad_field("body", f"the .npy holds {len(array)} images; send 1 to {most} at a time")
    return np.ascontiguousarray(array)


def _encoded(body: bytes, most: int) -> list[bytes]:
    """The files of a JSON body: `{"images": ["<base64>", ...]}`."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise bad_field("body", f"the body is no JSON ({one_line(str(error), 100)}); {WANTED}") from None
    if not isinstance(document, dict) or document.keys() != {"images"}:
        raise bad_field("body", WANTED)
    images = document["images"]
    if not isinstance(images, list) or not 1 <= len(images) <= most:
        raise bad_field("images", f"images is {shown(images)}, wanted a list of 1 to {most} texts in base64")
    return [_from_base64(image, number) for number, image in enumerate(images)]


def _from_base64(image: object, number: int) -> bytes:
    try:
        if not isinstance(image, str):
            raise ValueError(f"it is {shown(image)}")
        return base64.b64decode(image, validate=True)
    except ValueError as error:
        raise bad_field("images", f"image {number} is no text in base64 ({one_line(str(error), 100)})") from None
