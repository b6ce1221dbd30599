"""From a question that the images of an answer depend on alone, to that answer: checks, cache, engine, encoding."""

import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from ganport_serve.engine import Served
from ganport_serve.problems import bad_field
from ganport_serve.service import Service
from ganport_serve.v1.caching import etag_of, headers_of, unchanged, without_body
from ganport_serve.v1.formats import FORMATS
from ganport_serve.v1.workers import HELD, Workers

__all__ = ["Pictures", "Question"]

GRID_PIXELS = 2**24  # of one picture: 4,096 x 4,096
LONGEST_SIDE = 16383  # of a WebP picture
PICTURE_CHANNELS = (1, 2, 3, 4)  # gray, gray with alpha, color, color with alpha


@dataclass(frozen=True)
class Question:
    """What a client wants to see.

    Attributes:
        path: of the request, without what follows from the values.
        values: everything that the images depend on beside the bundle.
        count: how many images.
        first: number of the first image, by which the files of a .zip are named.
        limited_by: the parameter that a client lowers where `count` is too much.
        format: a key of FORMATS.
        name: of the file, without its ending.
        make: asks the engine for the images, uint8 [count, height, width, channels].
    """

    path: str
    values: Mapping[str, Any]
    count: int
    first: int
    limited_by: str
    format: str
    name: str
    make: Callable[[], Awaitable[NDArray[np.uint8]]]


class Pictures:
    """Answers questions for images, in any format, without the engine where the client has the answer."""

    def __init__(self, service: Service, workers: Workers) -> None:
        self._service = service
        self._workers = workers

    async def answer(self, request: Request, question: Question) -> Response:
        """The response to GET or HEAD.

        Raises:
            ProblemError: 400 with the field, where the answer would be too large or the format cannot hold the images.
            QueueFullError: other requests hold too many pixels now; and all that an Engine raises.
        """
        served = self._service.engine.served
        _check_size(question, served.image_shape)
        etag = etag_of(served, question.path, {**question.values, "format": question.format})
        headers = headers_of(self._service, etag)
        if unchanged(request, etag):
            return without_body(304, headers)
        headers |= _file_headers(question)
        if request.method == "HEAD":
            return without_body(200, headers)
        body = await self._body(question, served)
        if self._service.engine.served.digest != served.digest:  # whose images these are nobody knows: not to be kept
            headers = {**_file_headers(question), "cache-control": "no-store"}
        return Response(body, headers=headers)

    async def _body(self, question: Question, served: Served) -> bytes:
        encoding = FORMATS[question.format].encode
        with self._workers.holding(question.count * math.prod(served.image_shape)):
            images = await question.make()
            begun = time.perf_counter()
            body = await self._workers.run(encoding, images, question.first)
        self._service.metrics.encoded(question.format, time.perf_counter() - begun)
        return body


def _file_headers(question: Question) -> dict[str, str]:
    form = FORMATS[question.format]
    kind = "inline" if form.is_picture else "attachment"
    return {
        "content-type": form.media_type,
        "content-disposition": f'{kind}; filename="{question.name}.{question.format}"',
    }


def _check_size(question: Question, shape: tuple[int, int, int]) -> None:
    """See that the answer can be made at all."""
    height, width, channels = shape
    field, count = question.limited_by, question.count
    most = HELD // math.prod(shape)
    if count > most:
        raise bad_field(
            field, f"{count} images of {height} x {width} are too much for one answer: ask for {most} or fewer"
        )
    if question.format == "npy":
        return
    if channels not in PICTURE_CHANNELS:
        raise bad_field("format", f"images of {channels} channels fit in no {question.format}; ask for format=npy")
    columns = math.ceil(math.sqrt(count))
    sides = (math.ceil(count / columns) * height, columns * width)
    if FORMATS[question.format].is_picture and (math.prod(sides) > GRID_PIXELS or max(sides) > LONGEST_SIDE):
        raise bad_field(
            field,
            f"a picture of {count} images has {sides[1]} x {sides[0]} pixels, more than {GRID_PIXELS} or than "
            f"{LONGEST_SIDE} along a side; ask for fewer, or for format=npy or zip",
        )
