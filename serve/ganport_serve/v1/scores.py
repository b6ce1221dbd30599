"""`POST /v1/scores` and `POST /v1/features`: what the discriminator makes of a client's images."""

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from ganport_runtime.serving import Scores
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from ganport_serve.errors import UnknownModelError
from ganport_serve.service import Service
from ganport_serve.v1.bodies import content_of
from ganport_serve.v1.formats import NPY, npy_bytes
from ganport_serve.v1.image_files import decode
from ganport_serve.v1.query import Choice, bad, read
from ganport_serve.v1.workers import HELD, Workers

__all__ = ["JSON_NUMBERS", "SCORE_PARAMETERS", "ScoreRoutes"]

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
        found = await self._examine(request, values)
        return await self._answer(request, values, "scores", found.logits)

    async def features(self, request: Request) -> Response:
        """The discriminator's feature vector of each image."""
        values = read(request, SCORE_PARAMETERS)
        found = await self._examine(request, values)
        return await self._answer(request, values, "features", found.features)

    async def _examine(self, request: Request, values: Mapping[str, Any]) -> Scores:
        served, settings = self._service.engine.served, self._service.settings
        if served.feature_dim is None:
            raise UnknownModelError(f"bundle {served.name} has no discriminator; serve one that was exported with it")
        shape, resize = served.image_shape, values["resize"] == "true"
        most = min(settings.max_count, HELD // math.prod(shape))
        body, kind = await request.body(), request.headers.get("content-type", "")
        found = await self._workers.run(content_of, kind, body, shape, most)
        with self._workers.holding(len(found) * math.prod(shape)):
            if isinstance(found, list):
                found = await self._workers.run(decode, found, shape, resize=resize)
            return await self._service.engine.examine(found, timeout=settings.request_timeout)

    async def _answer(
        self, request: Request, values: Mapping[str, Any], name: str, array: NDArray[np.float32]
    ) -> Response:
        form = values["format"] or ("npy" if NPY in request.headers.get("accept", "") else "json")
        headers = {"cache-control": "no-store", "vary": "Accept"}
        if form == "npy":
            return Response(npy_bytes(array), media_type=NPY, headers=headers)
        if array.size > JSON_NUMBERS:
            raise bad(
                "format", f"{array.size} numbers are too many for JSON, at most {JSON_NUMBERS}; ask for format=npy"
            )
        body = await self._workers.run(_document, name, array)
        return Response(body, media_type="application/json", headers=headers)


def _document(name: str, array: NDArray[np.float32]) -> bytes:
    """`{"count": n, name: [...]}`; row by row, so that other threads get their turn in between."""
    rows = ",".join(json.dumps(row.tolist(), allow_nan=False) for row in array)
    return f'{{"count":{len(array)},"{name}":[{rows}]}}'.encode()
