"""For people and scripts: images of a seed and walks between seeds, as files over plain HTTP."""

import hashlib
import json
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import PIL
from ganport_runtime import __version__, latents
from ganport_runtime.errors import shown
from ganport_runtime.latents import LIMIT
from numpy.typing import NDArray

from ganport_serve.engine import Served
from ganport_serve.http import Request, Response, Route
from ganport_serve.pictures import FORMATS, LONGEST_SIDE
from ganport_serve.refusals import bad_field, refuse
from ganport_serve.service import Service
from ganport_serve.settings import Settings

Headers = list[tuple[bytes, bytes]]
WHOLE = re.compile(r"[0-9]{1,20}")  # 2^64 - 1 has twenty digits
LAST = LIMIT - 1  # 2^64 - 1
ONE_IMAGE = ("png", "webp", "npy")  # endings of /v1/images/{seed}.*
GRID_PIXELS = 2**24  # of one picture: 4,096 x 4,096
PICTURE_CHANNELS = (1, 2, 3, 4)  # gray, gray with alpha, color, color with alpha
NEARLY_PARALLEL = 1e-6  # of the sine of the angle; below it the arc is a straight line to float32's last bit
FORMAT_TEXT = (
    "png and webp (lossless): one picture, a near-square grid of all images, row by row. "
    "npy: uint8 [count, height, width, channels]. zip: one PNG an image, named by number."
)


@dataclass(frozen=True)
class Integer:
    """A whole number from `low` to `high`, in decimal digits."""

    name: str
    low: int
    high: int
    default: int | None
    text: str

    def value(self, word: str) -> int:
        """The number."""
        number = int(word) if WHOLE.fullmatch(word) else -1
        if not self.low <= number <= self.high:
            wanted = f"wanted a whole number from {self.low} to {self.high}"
            raise bad_field(self.name, f"{self.name} is {shown(word)}, {wanted}")
        return number

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        schema = {"type": "integer", "minimum": self.low, "maximum": self.high}
        return schema if self.default is None else {**schema, "default": self.default}


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    name: str
    words: tuple[str, ...]
    default: str | None
    text: str

    def value(self, word: str) -> str:
        """The word."""
        if word not in self.words:
            raise bad_field(self.name, f"{self.name} is {shown(word)}, wanted one of {', '.join(self.words)}")
        return word

    def schema(self) -> dict[str, Any]:
        """As JSON Schema."""
        schema = {"type": "string", "enum": list(self.words)}
        return schema if self.default is None else {**schema, "default": self.default}


Parameter = Integer | Choice  # read, and described in the OpenAPI document, from the same line
SEED = Integer("seed", 0, LAST, 0, "Image k of a seed is always the same.")
INDEX = Integer("index", 0, LAST, 0, "Which image of the seed.")


def read_query(request: Request, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """The value of every parameter, by name."""
    declared = {parameter.name: parameter for parameter in parameters}
    given: dict[str, Any] = {}
    for name, word in request.query():
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise bad_field(shown(name).strip("'"), f"there is no parameter {shown(name)} here; known: {known}")
        if name in given:
            raise bad_field(name, f"{name} is given twice; give it once")
        given[name] = declared[name].value(word)
    return {name: given.get(name, parameter.default) for name, parameter in declared.items()}


def images_parameters(settings: Settings) -> tuple[Parameter, ...]:
    """What `GET /v1/images` takes."""
    return (
        SEED,
        Integer("count", 1, settings.max_count, min(16, settings.max_count), "How many images."),
        Integer("start", 0, LAST, 0, "The first image of the seed."),
        Choice("format", tuple(FORMATS), "png", FORMAT_TEXT),
    )


def walk_parameters(settings: Settings) -> tuple[Parameter, ...]:
    """What `GET /v1/walk` takes."""
    most = max(2, settings.max_count)
    return (
        Integer("from", 0, LAST, 0, "The seed where the walk begins."),
        Integer("to", 0, LAST, 1, "The seed where it ends."),
        Integer("from_index", 0, LAST, 0, "Which image of the first seed."),
        Integer("to_index", 0, LAST, 0, "Which image of the last seed."),
        Integer("steps", 2, most, min(16, most), "How many images the walk has, both ends included."),
        Integer("step", 0, most - 1, None, "Only this image of the walk, counted from 0; without it all of them."),
        Choice("format", tuple(FORMATS), "png", "As for /v1/images."),
    )


@dataclass(frozen=True)
class Wish:
    """Which images a client wants to see, and how."""

    path: str  # of the request, without what follows from the values
    values: Mapping[str, Any]  # everything that the images depend on beside the bundle
    count: int  # how many images
    first: int  # number of the first image, by which the files of a .zip are named
    limited_by: str  # the parameter that a client lowers where `count` is too much
    format: str  # a key of FORMATS
    name: str  # of the file, without its ending
    # asks the engine for the images, uint8 [count, height, width, channels]
    make: Callable[[], Awaitable[NDArray[np.uint8]]]


def routes(service: Service) -> list[Route]:
    """`/v1/images` and `/v1/walk`."""
    return [
        Route("/v1/images", GET=partial(_images, service)),
        Route("/v1/images/{name}", GET=partial(_image, service)),
        Route("/v1/walk", GET=partial(_walk, service)),
    ]


async def _images(service: Service, request: Request) -> Response:
    values = read_query(request, images_parameters(service.settings))
    seed, start, count = values["seed"], values["start"], values["count"]
    if start + count > LIMIT:
        raise bad_field("start", f"start {start} and count {count} go past the last image of a seed, 2^64 - 1")
    name = f"seed-{seed}-image-{start}" if count == 1 else f"seed-{seed}-images-{start}-to-{start + count - 1}"
    return await _answer(service, request, _of_seed(service, seed, start, count, values["format"], name))


async def _image(service: Service, request: Request) -> Response:
    """One image, named by its seed and its format: `7.png`."""
    word, _, ending = request.params["name"].rpartition(".")
    if ending not in ONE_IMAGE:
        wanted = ", ".join(f"{word or '7'}.{one}" for one in ONE_IMAGE)
        raise refuse("not_found", f"there is no {shown(request.path)}; wanted one of {wanted}")
    seed, index = SEED.value(word), read_query(request, (INDEX,))["index"]
    wish = _of_seed(service, seed, index, 1, ending, f"seed-{seed}-image-{index}")
    return await _answer(service, request, wish)


def _of_seed(service: Service, seed: int, start: int, count: int, form: str, name: str) -> Wish:
    timeout = service.settings.request_timeout
    make = partial(service.engine.sample, count, seed=seed, start=start, timeout=timeout)
    return Wish("images", {"seed": seed, "start": start, "count": count}, count, start, "count", form, name, make)


async def _walk(service: Service, request: Request) -> Response:
    """The images at equal distances along the arc between two latents."""
    values = read_query(request, walk_parameters(service.settings))
    form, step = values.pop("format"), values["step"]
    if step is not None and step >= values["steps"]:
        wanted = f"wanted 0 to {values['steps'] - 1}, since steps is {values['steps']}"
        raise bad_field("step", f"step is {step}, {wanted}")
    first, count = (0, values["steps"]) if step is None else (step, 1)

    async def make() -> NDArray[np.uint8]:
        z = _latents_between(values, service.engine.served.latent_dim)[first : first + count]
        return await service.engine.generate(z, timeout=service.settings.request_timeout)

    name = f"walk-{values['from']}-to-{values['to']}" + ("" if step is None else f"-step-{step}")
    return await _answer(service, request, Wish("walk", values, count, first, "steps", form, name, make))


def _latents_between(values: Mapping[str, Any], dim: int) -> NDArray[np.float32]:
    first = latents(values["from"], values["from_index"], 1, dim)[0]
    last = latents(values["to"], values["to_index"], 1, dim)[0]
    return slerp(first, last, np.linspace(0.0, 1.0, values["steps"]))


def slerp(first: NDArray[np.float32], last: NDArray[np.float32], t: NDArray[np.float64]) -> NDArray[np.float32]:
    """Spherical linear interpolation, float32 [len(t), dim].

    z(t) = (sin((1 - t) w) first + sin(t w) last) / sin(w), where w is the angle between the two (Shoemake 1985,
    Animating Rotation with Quaternion Curves; for the latents of generators White 2016, Sampling Generative Networks).
    A straight line would pass through lengths that normal latents of many numbers do not have. Both ends are exact.

    `first`: [dim], the latent at t = 0. `last`: [dim], the latent at t = 1. `t`: [n], each from 0 to 1.
    """
    a, b = first.astype(np.float64), last.astype(np.float64)
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    cosine = a @ b / lengths if lengths > 0 else 1.0
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    sine = np.sin(angle)
    shares = np.stack([1 - t, t])
    weights = shares if sine < NEARLY_PARALLEL else np.sin(shares * angle) / sine
    path: NDArray[np.float32] = (weights.T @ np.stack([a, b])).astype(np.float32)
    return path


async def _answer(service: Service, request: Request, wish: Wish) -> Response:
    served = service.engine.served
    pixels = wish.count * math.prod(served.image_shape)
    _check_file(wish, served.image_shape, service.budget.size)
    etag = _etag_of(served, wish)
    headers = cache_headers(service, etag)
    if is_unchanged(request, etag):
        return Response(None, headers, 304)
    headers += _file_headers(wish)
    if request.method == "HEAD":
        return Response(None, headers)
    request.hold.take(pixels)
    images = await wish.make()
    begun = time.perf_counter()
    body = await service.in_thread(FORMATS[wish.format].encode, images, wish.first)
    service.metrics.encoded(wish.format, time.perf_counter() - begun)
    request.hold.take(-pixels)
    if service.engine.served.digest != served.digest:  # which bundle made the images is unknown: not to be cached
        headers = [*_file_headers(wish), (b"cache-control", b"no-store")]
    return Response(body, headers)


def _etag_of(served: Served, wish: Wish) -> str:
    """A strong validator of everything that the bytes of an answer depend on."""
    values = {**wish.values, "format": wish.format}
    parts = [served.digest, served.plans.get("generator"), __version__, PIL.__version__, wish.path, values]
    return f'"{hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]}"'


def cache_headers(service: Service, etag: str) -> Headers:
    """What a cache needs to know.

    An answer may be kept, and is asked for again each time, which costs the engine nothing: another bundle may take
    over at any moment. With a token it belongs to the client alone.
    """
    scope = "public" if service.settings.token is None else "private"
    return [(b"etag", etag.encode()), (b"cache-control", f"{scope}, max-age=0, must-revalidate".encode())]


def is_unchanged(request: Request, etag: str) -> bool:
    """Whether the client has this answer already (`If-None-Match`, compared weakly as RFC 9110 wants)."""
    given = request.header("if-none-match").split(",")
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in given)


def _file_headers(wish: Wish) -> Headers:
    form = FORMATS[wish.format]
    kind = "inline" if form.is_picture else "attachment"
    disposition = f'{kind}; filename="{wish.name}.{wish.format}"'
    return [(b"content-type", form.media_type.encode()), (b"content-disposition", disposition.encode())]


def _check_file(wish: Wish, shape: tuple[int, int, int], budget: int) -> None:
    height, width, channels = shape
    most = budget // 3 // math.prod(shape)  # the images, and the file while it grows
    if wish.count > most:
        detail = f"{wish.count} images of {height} x {width} are too much for one answer: ask for {most} or fewer"
        raise bad_field(wish.limited_by, detail)
    if wish.format == "npy":
        return
    if channels not in PICTURE_CHANNELS:
        raise bad_field("format", f"images of {channels} channels fit in no {wish.format}; ask for format=npy")
    columns = math.ceil(math.sqrt(wish.count))
    sides = (math.ceil(wish.count / columns) * height, columns * width)
    if FORMATS[wish.format].is_picture and (math.prod(sides) > GRID_PIXELS or max(sides) > LONGEST_SIDE):
        detail = (
            f"a picture of {wish.count} images has {sides[1]} x {sides[0]} pixels, more than {GRID_PIXELS} or than "
            f"{LONGEST_SIDE} along a side; ask for fewer, or for format=npy or zip"
        )
        raise bad_field(wish.limited_by, detail)
