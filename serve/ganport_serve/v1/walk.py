"""`GET /v1/walk`: the images on the way from one image of a seed to another."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ganport_runtime import latents
from numpy.typing import NDArray
from starlette.requests import Request
from starlette.responses import Response

from ganport_serve.problems import bad_field
from ganport_serve.service import Service
from ganport_serve.settings import Settings
from ganport_serve.v1.formats import FORMATS
from ganport_serve.v1.images import LAST
from ganport_serve.v1.interpolation import slerp
from ganport_serve.v1.pictures import Pictures, Question
from ganport_serve.v1.query import Choice, Integer, Parameter, read

__all__ = ["WalkRoutes", "walk_parameters"]


def walk_parameters(settings: Settings) -> tuple[Parameter, ...]:
    """What `GET /v1/walk` takes."""
    most = max(2, settings.max_count)
    return (
        Integer("from", 0, LAST, 0, "The seed where the walk begins."),
        Integer("to", 0, LAST, 1, "The seed where it ends."),
        Integer("from_index", 0, LAST, 0, "Which image of the first seed."),
        Integer("to_index", 0, LAST, 0, "Which image of the last seed."),
        Integer("steps", 2, most, min(16, most), "How many images the way has, both ends among them."),
        Integer("step", 0, most - 1, None, "This image of the way alone, counted from 0; without it all of them."),
        Choice("format", tuple(FORMATS), "png", "As for /v1/images."),
    )


class WalkRoutes:
    """The route, bound to one server."""

    def __init__(self, service: Service, pictures: Pictures) -> None:
        self._service = service
        self._pictures = pictures
        self._parameters = walk_parameters(service.settings)

    async def walk(self, request: Request) -> Response:
        """The images at equal distances along the arc between two latents."""
        values = dict(read(request, self._parameters))
        form, step = values.pop("format"), values["step"]
        if step is not None and step >= values["steps"]:
            raise bad_field(
                "step", f"step is {step}, wanted 0 to {values['steps'] - 1}, since steps is {values['steps']}"
            )
        first, count = (0, values["steps"]) if step is None else (step, 1)

        async def make() -> NDArray[np.uint8]:
            z = _way(values, self._service.engine.served.latent_dim)[first : first + count]
            return await self._service.engine.generate(z, timeout=self._service.settings.request_timeout)

        name = f"walk-{values['from']}-to-{values['to']}" + ("" if step is None else f"-step-{step}")
        return await self._pictures.answer(request, Question("walk", values, count, first, "steps", form, name, make))


def _way(values: Mapping[str, Any], dim: int) -> NDArray[np.float32]:
    """The latents of every step, float32 [steps, dim]."""
    first = latents(values["from"], values["from_index"], 1, dim)[0]
    last = latents(values["to"], values["to_index"], 1, dim)[0]
    return slerp(first, last, np.linspace(0.0, 1.0, values["steps"]))
