"""`GET /v1/images` and `GET /v1/images/7.png`: the images of a seed, and one of them."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import numpy as np
from ganport_runtime.latents import LIMIT
from ganport_runtime.text import shown
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from ganport_serve.problems import ProblemError, bad_field
from ganport_serve.service import Service
from ganport_serve.settings import Settings
from ganport_serve.v1.formats import FORMATS
from ganport_serve.v1.pictures import Pictures, Question
from ganport_serve.v1.query import Choice, Integer, Parameter, read

__all__ = ["INDEX", "ONE_IMAGE", "SEED", "ImageRoutes", "images_parameters"]

FORMAT_TEXT = (
    "png and webp (lossless): one picture, a near-square grid of all images, row by row. "
    "npy: uint8 [count, height, width, channels]. zip: one PNG an image, named by number."
)
LAST = LIMIT - 1  # 2^64 - 1
ONE_IMAGE = ("png", "webp", "npy")  # endings of /v1/images/{seed}.*
SEED = Integer("seed", 0, LAST, 0, "Image k of a seed is always the same.")
INDEX = Integer("index", 0, LAST, 0, "Which image of the seed.")


def images_parameters(settings: Settings) -> tuple[Parameter, ...]:
    """What `GET /v1/images` takes."""
    return (
        SEED,
        Integer("count", 1, settings.max_count, min(16, settings.max_count), "How many images."),
        Integer("start", 0, LAST, 0, "The first image of the seed."),
        Choice("format", tuple(FORMATS), "png", FORMAT_TEXT),
    )


class ImageRoutes:
    """The two routes, bound to one server."""

    def __init__(self, service: Service, pictures: Pictures) -> None:
        self._service = service
        self._pictures = pictures
        self._parameters = images_parameters(service.settings)

    async def images(self, request: Request) -> Response:
        """The images `start` to `start + count - 1` of a seed."""
        values = read(request, self._parameters)
        seed, start, count = values["seed"], values["start"], values["count"]
        if start + count > LIMIT:
            raise bad_field("start", f"start {start} and count {count} go past the last image of a seed, 2^64 - 1")
        name = f"seed-{seed}-image-{start}" if count == 1 else f"seed-{seed}-images-{start}-to-{start + count - 1}"
        return await self._pictures.answer(request, self._question(values, values["format"], name))

    async def image(self, request: Request) -> Response:
        """One image, named by its seed and its format: `7.png`."""
        word, _, ending = request.path_params["name"].rpartition(".")
        if ending not in ONE_IMAGE:
            wanted = ", ".join(f"{word or '7'}.{one}" for one in ONE_IMAGE)
            raise ProblemError.of(
                HTTPStatus.NOT_FOUND, f"there is no {shown(request.url.path)}; wanted one of {wanted}"
            )
        seed, index = SEED.value(word), read(request, (INDEX,))["index"]
        values = {"seed": seed, "start": index, "count": 1}
        return await self._pictures.answer(request, self._question(values, ending, f"seed-{seed}-image-{index}"))

    def _question(self, values: Mapping[str, Any], format_name: str, name: str) -> Question:
        seed, start, count = values["seed"], values["start"], values["count"]

        async def make() -> NDArray[np.uint8]:
            timeout = self._service.settings.request_timeout
            return await self._service.engine.sample(count, seed=seed, start=start, timeout=timeout)

        drawn = {"seed": seed, "start": start, "count": count}
        return Question("images", drawn, count, start, "count", format_name, name, make)
