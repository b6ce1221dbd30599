"""The paths for people and scripts: images, walks, scores and features."""

from collections.abc import Iterable
from http import HTTPStatus

from ganport_serve.engine import Served
from ganport_serve.openapi.parts import JSON, Document, answer, array, operation, record
from ganport_serve.settings import Settings
from ganport_serve.v1.bodies import FILES
from ganport_serve.v1.formats import FORMATS, NPY
from ganport_serve.v1.images import INDEX, ONE_IMAGE, images_parameters
from ganport_serve.v1.query import Parameter
from ganport_serve.v1.scores import SCORE_PARAMETERS
from ganport_serve.v1.walk import walk_parameters

__all__ = ["people_paths"]

BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.GATEWAY_TIMEOUT)
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "ETags of answers that the client has; 304 where one of them is still right, at no cost.",
    "schema": {"type": "string"},
}
CACHED = {"ETag": "Changes where the images may.", "Cache-Control": "To be asked for again, by the ETag."}
NOT_MODIFIED = {"304": answer("The client has it already.", {}, CACHED)}
EXAMPLES = {"seed": 7, "from": 7, "to": 9}
NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "The seed and the format.",
    "schema": {"type": "string", "pattern": rf"^[0-9]{{1,20}}\.({'|'.join(ONE_IMAGE)})$"},
    "example": "7.png",
}


def people_paths(served: Served, settings: Settings) -> Document:
    """Every path below `/v1/` but `/v1/status`."""
    found = _image_paths(settings)
    return found if served.feature_dim is None else found | _score_paths(served, served.feature_dim, settings)


def _image_paths(settings: Settings) -> Document:
    files: Document = {form.media_type: {} for form in FORMATS.values()}
    one: Document = {FORMATS[ending].media_type: {} for ending in ONE_IMAGE}
    images = operation(
        "images", "images", "Images of a seed", _cached("The images.", files),
        parameters=(*_parameters(images_parameters(settings)), IF_NONE_MATCH), refused=BUSY,
    )  # fmt: skip
    image = operation(
        "image", "images", "One image of a seed", _cached("The image.", one),
        parameters=(NAME, *_parameters((INDEX,)), IF_NONE_MATCH), refused=(*BUSY, HTTPStatus.NOT_FOUND),
    )  # fmt: skip
    walk = operation(
        "walk", "images", "Images on the way from one image to another", _cached("The images.", files),
        text="Latents at equal distances along the arc between the latents of two images.",
        parameters=(*_parameters(walk_parameters(settings)), IF_NONE_MATCH), refused=BUSY,
    )  # fmt: skip
    return {"/v1/images": {"get": images}, "/v1/images/{name}": {"get": image}, "/v1/walk": {"get": walk}}


def _score_paths(served: Served, feature_dim: int, settings: Settings) -> Document:
    number = {"type": "number"}
    scores = _scored("scores", "How real images look to the discriminator", number, "[n]", served, settings)
    vector = array(number, feature_dim, feature_dim)
    shape = f"[n, {feature_dim}]"
    features = _scored("features", "The discriminator's features of images", vector, shape, served, settings)
    return {"/v1/scores": {"post": scores}, "/v1/features": {"post": features}}


def _scored(name: str, summary: str, row: Document, shape: str, served: Served, settings: Settings) -> Document:
    document = record({"count": {"type": "integer", "minimum": 1}, name: array(row, 1)}, closed=True)
    answers = {"200": answer(f"One row an image; as .npy float32 {shape}.", {JSON: document, NPY: {}})}
    return operation(
        name, "discriminator", summary, answers,
        parameters=_parameters(SCORE_PARAMETERS), body=_body(served, settings),
        refused=(*BUSY, HTTPStatus.NOT_FOUND, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    )  # fmt: skip


def _body(served: Served, settings: Settings) -> Document:
    """Images in each of the forms in which they may come."""
    file = {"type": "string", "contentEncoding": "base64", "description": "a PNG, JPEG or WebP file"}
    form = record({"image": array({"type": "string", "format": "binary"}, 1, settings.max_count)})
    content: Document = {
        JSON: {"schema": record({"images": array(file, 1, settings.max_count)}, closed=True)},
        "multipart/form-data": {"schema": form},
        NPY: {},
    }
    height, width, _ = served.image_shape
    text = f"Images of {height} x {width} pixels; as .npy uint8 [n, height, width, channels]."
    return {"required": True, "description": text, "content": content | {kind: {} for kind in FILES}}


def _cached(text: str, content: Document) -> Document:
    return {"200": answer(text, content, CACHED), **NOT_MODIFIED}


def _parameters(parameters: Iterable[Parameter]) -> list[Document]:
    """Query parameters, from the lines by which they are read."""
    return [
        {"name": one.name, "in": "query", "description": one.text, "schema": one.schema()}
        | ({"example": EXAMPLES[one.name]} if one.name in EXAMPLES else {})
        for one in parameters
    ]
