"""`POST /v1/scores` and `POST /v1/features`: the discriminator's view of a client's images."""

import math
from functools import partial
from typing import Annotated, Any

import msgspec
import numpy as np
from ganport_runtime.errors import shown
from ganport_runtime.serving import Scores
from numpy.typing import NDArray

from ganport_serve.engine import Served
from ganport_serve.errors import no_discriminator
from ganport_serve.http import FRESH, Request, Response, Route, check_json_size, decode_json
from ganport_serve.pictures import NPY, Images, boundary_of, decode, decoding_bytes, files, npy_array, npy_bytes
from ganport_serve.refusals import bad_field, refuse
from ganport_serve.service import Service
from ganport_serve.v1 import Choice, read_query

JSON_NUMBERS = 2**20  # of one answer, 20 MB; more come as .npy
FILES = ("image/png", "image/jpeg", "image/webp")
ACCEPTED = ("multipart/form-data", *FILES, NPY, "application/json")
WANTED = 'wanted {"images": ["<base64 of a PNG, JPEG or WebP file>", ...]}'
SCORE_PARAMETERS = (
    Choice("format", ("json", "npy"), None, f"json, or npy: float32. Left out, npy where Accept names {NPY}."),
    Choice("resize", ("false", "true"), "false", "Take images of other sizes: upright, the largest centered square, "
           "antialiased, as `ganport embed` does."),
)  # fmt: skip


class ImagesDocument(msgspec.Struct, forbid_unknown_fields=True):
    """Image files as JSON."""

    images: Annotated[list[bytes], msgspec.Meta(min_length=1, description="PNG, JPEG or WebP files in base64")]


def routes(service: Service) -> list[Route]:
    """Both routes."""
    return [
        Route("/v1/scores", POST=partial(_scores, service)),
        Route("/v1/features", POST=partial(_features, service)),
    ]


async def _scores(service: Service, request: Request) -> Response:
    values = read_query(request, SCORE_PARAMETERS)
    found = await _examine(service, request, values, 1)
    return await _answer(service, request, values, "scores", found.logits)


async def _features(service: Service, request: Request) -> Response:
    values = read_query(request, SCORE_PARAMETERS)
    found = await _examine(service, request, values, _served(service).feature_dim or 0)
    return await _answer(service, request, values, "features", found.features)


def _served(service: Service) -> Served:
    served = service.engine.served
    if served.feature_dim is None:
        raise no_discriminator(served.name)
    return served


async def _examine(service: Service, request: Request, values: dict[str, Any], numbers: int) -> Scores:
    """The scores of a request's images; the answer has so many numbers for each."""
    served, settings = _served(service), service.settings
    shape, resize = served.image_shape, values["resize"] == "true"
    found = await _content(service, request, shape)
    if _form(request, values) == "json" and len(found) * numbers > JSON_NUMBERS:
        given = f"{len(found) * numbers} numbers are too many for JSON"
        raise bad_field("format", f"{given}, at most {JSON_NUMBERS}; ask for format=npy")
    if isinstance(found, list):
        size = decoding_bytes(found, shape, resize=resize)
        request.hold.take(size)
        images = await service.in_thread(decode, found, shape, resize=resize)
        request.hold.take(images.nbytes - size)
    else:
        images = found
    return await service.engine.examine(images, timeout=settings.request_timeout)


async def _content(service: Service, request: Request, shape: tuple[int, int, int]) -> list[bytes] | Images:
    """Image files that are yet to be decoded, or the images themselves, uint8 [n, *shape]."""
    content_type, most = request.header("content-type"), service.settings.max_count
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in ACCEPTED:
        detail = f"content-type is {shown(kind)}, wanted one of {', '.join(ACCEPTED)}"
        raise refuse("bad_media_type", detail, field="content-type")
    body = await request.body()
    match kind:
        case "multipart/form-data":
            return files(body, boundary_of(content_type), most)
        case "application/json":
            return await _encoded(service, body, most)
        case kind if kind == NPY:
            return _array(body, shape, most)
    return [body]


def _array(body: bytes, shape: tuple[int, int, int], most: int) -> Images:
    array = npy_array(body)
    if array.dtype != np.uint8 or array.shape[1:] != shape or array.ndim == 0:
        given = f"{array.dtype} {list(array.shape)[:6]}"
        raise bad_field("body", f"the .npy holds {given}, wanted uint8 [n, {', '.join(map(str, shape))}]")
    if not 1 <= len(array) <= most:
        raise bad_field("body", f"the .npy holds {len(array)} images; send 1 to {most} at a time")
    return np.ascontiguousarray(array)


async def _encoded(service: Service, body: bytes, most: int) -> list[bytes]:
    check_json_size(len(body))
    if body.count(b",") >= most:  # of which base64 has none
        raise bad_field("images", f"images holds more than {most} files; send 1 to {most} at a time")
    found = await service.in_turn(len(body), lambda: decode_json(body, ImagesDocument, WANTED))
    return found.images


async def _answer(
    service: Service, request: Request, values: dict[str, Any], name: str, array: NDArray[np.float32]
) -> Response:
    headers = [FRESH, (b"vary", b"Accept")]
    if _form(request, values) == "npy":
        return Response(npy_bytes(array), [(b"content-type", NPY.encode()), *headers])
    if not math.isfinite(float(array.sum())) and not np.isfinite(array).all():
        detail = f"{name} came out as NaN or infinity, which JSON cannot say; ask for format=npy"
        raise refuse("failed", detail, field="format")
    body = await service.in_turn(array.nbytes, lambda: msgspec.json.encode({"count": len(array), name: array.tolist()}))
    return Response(body, [(b"content-type", b"application/json"), *headers])


def _form(request: Request, values: dict[str, Any]) -> str:
    return str(values["format"]) if values["format"] else "npy" if NPY in request.header("accept") else "json"
