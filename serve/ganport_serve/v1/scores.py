"""`POST /v1/scores` and `POST /v1/features`: what the discriminator makes of a client's images."""

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import numpy as np
from ganport_runtime.serving import Scores
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from ganport_serve.engine import Served
from ganport_serve.errors import no_discriminator
from ganport_serve.problems import ProblemError, bad_field
from ganport_serve.service import Service
from ganport_serve.v1.bodies import content_of
from ganport_serve.v1.formats import NPY, npy_bytes
from ganport_serve.v1.image_files import decode
from ganport_serve.v1.query import Choice, read
from ganport_serve.v1.workers import HELD, Workers

__all__ = ["SCORE_PARAMETERS", "ScoreRoutes"]

JSON_NUMBERS = 2**20  # of one answer, 20 MB; more come as .npy
SCORE_PARAMETERS = (
    Choice("format", ("json", "npy"), None, f"json, or npy: float32. Left out, npy where Accept names {NPY}."),
    Choice("resize", ("false", "true"), "false", "Take images of other sizes: upright, the largest centered square, "
           "antialiased, as `ganport embed` does."),
)  # fmt: skip


class ScoreRoutes:
    """The two routes, bound to one server."""

    def __init__(self, service: Service, workers: Workers) -> None:
        self._service = service
        self._workers = workers

    async def scores(self, request: Request) -> Response:
        """How real the discriminator holds each image to be."""
        values = read(request, SCORE_PARAMETERS)
        found = await self._examine(request, values, 1)
        return await self._answer(request, values, "scores", found.logits)

    async def features(self, request: Request) -> Response:
        """The discriminator's feature vector of each image."""
        values = read(request, SCORE_PARAMETERS)
        found = await self._examine(request, values, self._served().feature_dim or 0)
        return await self._answer(request, values, "features", found.features)

    def _served(self) -> Served:
        served = self._service.engine.served
        if served.feature_dim is None:
            raise no_discriminator(served.name)
        return served

    async def _examine(self, request: Request, values: Mapping[str, Any], numbers: int) -> Scores:
        """The scores of a request's images, of each of which the answer has so many numbers."""
        served, settings = self._served(), self._service.settings
        shape, resize = served.image_shape, values["resize"] == "true"
        most = min(settings.max_count, HELD // math.prod(shape))
        body, kind = await request.body(), request.headers.get("content-type", "")
        found = await self._workers.run(content_of, kind, body, shape, most)
        if _form(request, values) == "json" and len(found) * numbers > JSON_NUMBERS:
            given = f"{len(found) * numbers} numbers are too many for JSON"
            raise bad_field("format", f"{given}, at most {JSON_NUMBERS}; ask for format=npy")
        with self._workers.holding(len(found) * math.prod(shape)):
            if isinstance(found, list):
                found = await self._workers.run(decode, found, shape, resize=resize)
            return await self._service.engine.examine(found, timeout=settings.request_timeout)

    async def _answer(
        self, request: Request, values: Mapping[str, Any], name: str, array: NDArray[np.float32]
    ) -> Response:
        headers = {"cache-control": "no-store", "vary": "Accept"}
        if _form(request, values) == "npy":
            return Response(npy_bytes(array), media_type=NPY, headers=headers)
        body = await self._workers.run(_document, name, array)
        return Response(body, media_type="application/json", headers=headers)


def _form(request: Request, values: Mapping[str, Any]) -> str:
    return str(values["format"]) if values["format"] else "npy" if NPY in request.headers.get("accept", "") else "json"


def _document(name: str, array: NDArray[np.float32]) -> bytes:
    """`{"count": n, name: [...]}`; row by row, so that other threads get their turn in between."""
    try:
        rows = ",".join(json.dumps(row.tolist(), allow_nan=False) for row in array)
    except ValueError:
        detail = f"{name} came out as NaN or infinity, which JSON cannot say; ask for format=npy"
        raise ProblemError.of(HTTPStatus.INTERNAL_SERVER_ERROR, detail, field="format") from None
    return f'{{"count":{len(array)},"{name}":[{rows}]}}'.encode()
