"""The OpenAPI 3.1 document: every path of HTTP, with the limits of this server and the shapes of its bundle.

Documents are described by the types that read and write them, parameters by the lines that read them, inference by the
models' tensors, refusals by their table.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from ganport_runtime import __version__

from ganport_serve import page, refusals, scores, v1
from ganport_serve.admin import BundleAnswer, BundleRequest, StatusDocument
from ganport_serve.engine import Served
from ganport_serve.pictures import FORMATS, NPY
from ganport_serve.refusals import REASONS, ProblemDocument
from ganport_serve.settings import Settings
from ganport_serve.v2 import models as v2
from ganport_serve.v2.tensors import HEADER_LENGTH

Document = dict[str, Any]

JSON = "application/json"
BINARY = "application/octet-stream"
TEXT = """Images of the bundle `{name}`, {height} x {width} x {channels}, by seed; the discriminator's view of images;
and the Open Inference Protocol, version 2, over HTTP with JSON or binary tensors.
Image k of a seed is always the same, whoever asks and whatever else the server does.
A body has at most {body} bytes, a request at most {count} images, its line and headers at most {header} bytes.
Every answer names its request in `X-Request-Id`, the client's own name or a new one.
A refusal is a problem document (RFC 9457). What is no HTTP/1.1 is refused by its status alone."""
INFER_TEXT = """Inputs: {wanted}. With a tensor's parameter `binary_data_size` in place of `data` its numbers follow the
JSON as bytes, little-endian and in row-major order, and `Inference-Header-Content-Length` says how long the JSON is;
with an output's parameter `binary_data`, or `binary_data_output` for all of them, the answer comes in the same way."""
TAGS = {
    "images": "Images for people and scripts, by plain GET.",
    "discriminator": "What the discriminator makes of images.",
    "inference": "The Open Inference Protocol: tensors in, tensors out.",
    "models": "The Open Inference Protocol: health, metadata, configuration, statistics.",
    "server": "What the server does, what it has counted, and what it serves.",
}
# reasons that any request may meet, whatever its path
EVERYWHERE = ("bad_request", "slow_request", "too_large", "failed", "not_ready")
BUSY = ("queue_full", "deadline")
LONGEST_ROW = 1024  # numbers whose nesting is written out; tools that make requests from it choke on more
FLAG = {"type": "boolean"}
EXAMPLES: Mapping[str, Any] = {"seed": 7, "from": 7, "to": 9}
SEED_REQUEST = {"inputs": [{"name": "seed", "datatype": "UINT64", "shape": [1], "data": [7]}]}
JSON_LENGTH = "Bytes of JSON, where tensors follow it."
LENGTH_PARAMETER: Document = {
    "name": HEADER_LENGTH,
    "in": "header",
    "description": JSON_LENGTH,
    "schema": {"type": "integer", "minimum": 0},
}
VERSION_PARAMETER: Document = {
    "name": "version",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": [v2.VERSION]},
}
IF_NONE_MATCH: Document = {
    "name": "If-None-Match",
    "in": "header",
    "description": "ETags of answers that the client has; 304 where one of them is still right, at no cost.",
    "schema": {"type": "string"},
}
CACHED = {"ETag": "Changes where the images may.", "Cache-Control": "To be asked for again, by the ETag."}


def document(served: Served, settings: Settings) -> Document:
    """The document."""
    structs = _Structs()
    paths = (
        _image_paths(settings)
        | ({} if served.feature_dim is None else _score_paths(served, served.feature_dim, settings))
        | _inference_paths(served, settings)
        | _protocol_paths(served, structs)
        | _server_paths(settings, structs)
    )
    operations = [operation for path in paths.values() for operation in path.values()]
    everywhere = (*EVERYWHERE, *(() if settings.token is None else ("unauthorized",)))
    for operation in operations:
        reasons = [one for one in everywhere if one != "unauthorized" or operation.get("security") != []]
        operation["responses"] = dict(sorted((operation["responses"] | _refused(reasons)).items()))
    tags = {operation["tags"][0] for operation in operations}
    components: Document = {"schemas": structs.components(), "responses": _refusal_responses()}
    if settings.token is not None:
        components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    height, width, channels = served.image_shape
    limits = {"body": settings.max_body, "count": settings.max_count, "header": settings.max_header}
    text = TEXT.format(name=served.name, height=height, width=width, channels=channels, **limits)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ganport", "version": __version__, "description": text},
        "tags": [{"name": name, "description": text} for name, text in TAGS.items() if name in tags],
        "paths": paths,
        "components": components,
        "security": [] if settings.token is None else [{"token": []}],
    }


class _Structs:
    """References to the schemas of types, and these schemas."""

    def __init__(self) -> None:
        self._types: list[Any] = [ProblemDocument]

    def ref(self, kind: type[msgspec.Struct]) -> Document:
        """The reference to the schema of a type."""
        if kind not in self._types:
            self._types.append(kind)
        return {"$ref": f"#/components/schemas/{kind.__name__}"}

    def components(self) -> Document:
        """All schemas by name."""
        return msgspec.json.schema_components(self._types, ref_template="#/components/schemas/{name}")[1]


def _operation(
    name: str,
    tag: str,
    summary: str,
    content: Document,
    *,
    text: str = "",
    headers: Mapping[str, str] | None = None,
    parameters: Sequence[Document] = (),
    body: Document | None = None,
    refused: Iterable[str] = (),
) -> Document:
    answer: Document = {"description": summary + "."}
    answer["content"] = {kind: {"schema": schema} if schema else {} for kind, schema in content.items()}
    if headers:
        answer["headers"] = {one: {"description": word, "schema": {"type": "string"}} for one, word in headers.items()}
    said: Document = {"operationId": name, "tags": [tag], "summary": summary, "description": text or summary}
    if parameters:
        said["parameters"] = list(parameters)
    if body is not None:
        said["requestBody"] = body
    return {**said, "responses": {"200": answer} | _refused(refused)}


def _refused(reasons: Iterable[str]) -> Document:
    statuses = {REASONS[reason].status for reason in reasons}
    return {str(int(status)): {"$ref": f"#/components/responses/{_name(status)}"} for status in statuses}


def _name(status: HTTPStatus) -> str:
    return status.name.title().replace("_", "")


def _refusal_responses() -> Document:
    texts: dict[HTTPStatus, list[str]] = {}
    for reason in REASONS.values():
        texts.setdefault(reason.status, []).append(reason.text)
    found = {}
    for status, lines in texts.items():
        schema = {"$ref": "#/components/schemas/ProblemDocument"}
        made: Document = {"description": " ".join(lines), "content": {refusals.MEDIA_TYPE: {"schema": schema}}}
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            pause = {"description": "Seconds.", "required": True, "schema": {"type": "integer", "minimum": 1}}
            made["headers"] = {"Retry-After": pause}
        if status is HTTPStatus.UNAUTHORIZED:
            made["headers"] = {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}}
        found[_name(status)] = made
    return found


def _record(properties: Document, *optional: str) -> Document:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _array(items: Document, least: int | None = None, most: int | None = None) -> Document:
    bounds = {"minItems": least, "maxItems": most}
    return {"type": "array", "items": items} | {name: bound for name, bound in bounds.items() if bound is not None}


def _parameters(parameters: Iterable[v1.Parameter]) -> list[Document]:
    """Query parameters, from the lines by which they are read."""
    return [
        {"name": one.name, "in": "query", "description": one.text, "schema": one.schema()}
        | ({"example": EXAMPLES[one.name]} if one.name in EXAMPLES else {})
        for one in parameters
    ]


def _image_paths(settings: Settings) -> Document:
    files: Document = {form.media_type: {} for form in FORMATS.values()}
    one: Document = {FORMATS[ending].media_type: {} for ending in v1.ONE_IMAGE}
    name = {
        "name": "name",
        "in": "path",
        "required": True,
        "description": "The seed and the format.",
        "schema": {"type": "string", "pattern": rf"^[0-9]{{1,20}}\.({'|'.join(v1.ONE_IMAGE)})$"},
        "example": "7.png",
    }
    along = "Latents at equal distances along the arc between the latents of two images."
    rows: tuple[tuple[str, str, str, str, Document, list[Document], tuple[str, ...]], ...] = (
        ("/v1/images", "images", "Images of a seed", "", files, _parameters(v1.images_parameters(settings)), BUSY),
        ("/v1/images/{name}", "image", "One image of a seed", "", one, [name, *_parameters((v1.INDEX,))],
         (*BUSY, "not_found")),
        ("/v1/walk", "walk", "Images on the way from one image to another", along, files,
         _parameters(v1.walk_parameters(settings)), BUSY),
    )  # fmt: skip
    found: Document = {}
    for path, name_, summary, text, content, parameters, refused in rows:
        parameters = [*parameters, IF_NONE_MATCH]
        made = _operation(
            name_, "images", summary, content, text=text, headers=CACHED, parameters=parameters, refused=refused
        )
        headers = made["responses"]["200"]["headers"]
        made["responses"]["304"] = {"description": "The client has it already.", "headers": headers}
        found[path] = {"get": made}
    return found


def _score_paths(served: Served, feature_dim: int, settings: Settings) -> Document:
    number = {"type": "number"}
    vector = _array(number, feature_dim, feature_dim)
    rows = (
        ("scores", "How real images look to the discriminator", number, "[n]"),
        ("features", "The discriminator's features of images", vector, f"[n, {feature_dim}]"),
    )
    found: Document = {}
    for name, summary, row, shape in rows:
        answer = _record({"count": {"type": "integer", "minimum": 1}, name: _array(row, 1)})
        made = _operation(
            name, "discriminator", summary, {JSON: answer | {"additionalProperties": False}, NPY: {}},
            text=f"One row an image; as .npy float32 {shape}.", parameters=_parameters(scores.SCORE_PARAMETERS),
            body=_images_body(served, settings), refused=(*BUSY, "not_found", "bad_media_type"),
        )  # fmt: skip
        found[f"/v1/{name}"] = {"post": made}
    return found


def _images_body(served: Served, settings: Settings) -> Document:
    file = {"type": "string", "contentEncoding": "base64", "description": "a PNG, JPEG or WebP file"}
    form = _record({"image": _array({"type": "string", "format": "binary"}, 1, settings.max_count)})
    as_json = _record({"images": _array(file, 1, settings.max_count)}) | {"additionalProperties": False}
    content: Document = {JSON: {"schema": as_json}, "multipart/form-data": {"schema": form}, NPY: {}}
    height, width, _ = served.image_shape
    text = f"Images of {height} x {width} pixels; as .npy uint8 [n, height, width, channels]."
    return {"required": True, "description": text, "content": content | {kind: {} for kind in scores.FILES}}


def _inference_paths(served: Served, settings: Settings) -> Document:
    """Inference on every model, with and without its version."""
    found: Document = {}
    for model in v2.models(served).values():
        content: Document = {"schema": _infer_request(model, settings)}
        if model.name == "generator":
            content["example"] = SEED_REQUEST
        for end, suffix, parameters in (("", "", ()), ("/versions/{version}", "_version", (VERSION_PARAMETER,))):
            made = _operation(
                f"infer_{model.name}{suffix}", "inference", f"Run the {model.name}",
                {JSON: _infer_answer(model), BINARY: {}}, text=INFER_TEXT.format(wanted=model.wanted),
                headers={HEADER_LENGTH: JSON_LENGTH}, parameters=(*parameters, LENGTH_PARAMETER),
                body={"required": True, "content": {JSON: content, BINARY: {}}},
                refused=(*BUSY, "not_found", "bad_media_type"),
            )  # fmt: skip
            found[f"/v2/models/{model.name}{end}/infer"] = {"post": made}
    return found


def _infer_request(model: v2.Model, settings: Settings) -> Document:
    specs = {spec.name: spec for spec in model.inputs}
    choices = []
    for needed, allowed in model.choices:
        tensors = [_input(specs[name], settings.max_count) for name in specs if name in needed | allowed]
        items = tensors[0] if len(tensors) == 1 else {"oneOf": tensors}
        choices.append(_array(items, len(needed), len(tensors)))
    timeout = {"type": "integer", "minimum": 0, "description": "microseconds; 0: as long as the server allows"}
    names = {"enum": [spec.name for spec in model.outputs]}
    wanted = _record({"name": names, "parameters": _record({"binary_data": FLAG}, "binary_data")}, "parameters")
    members = {
        "id": {"type": "string", "description": "comes back with the answer"},
        "inputs": choices[0] if len(choices) == 1 else {"oneOf": choices},
        "outputs": _array(wanted, 0, len(model.outputs)),
        "parameters": _record({"timeout": timeout, "binary_data_output": FLAG}, "timeout", "binary_data_output"),
    }
    return {"title": f"{model.name.title()}Request"} | _record(members, "id", "outputs", "parameters")


def _input(spec: v2.TensorSpec, most: int) -> Document:
    datatype = {"enum": list(spec.datatypes)}
    shape, data = _shape(spec), _data(spec, most)
    return _record({"name": {"const": spec.name}, "datatype": datatype, "shape": shape, "data": data})


def _infer_answer(model: v2.Model) -> Document:
    tensors = [
        _record(
            {
                "name": {"const": spec.name},
                "datatype": {"const": spec.datatypes[0]},
                "shape": _shape(spec),
                "data": _array(_number(spec), 1),
            }
        )
        for spec in model.outputs
    ]
    outputs = {"oneOf": tensors} if len(tensors) > 1 else tensors[0]
    members = {
        "model_name": {"const": model.name},
        "model_version": {"const": v2.VERSION},
        "id": {"type": "string"},
        "outputs": _array(outputs, 1, len(model.outputs)),
    }
    return {"title": f"{model.name.title()}Answer"} | _record(members, "id")


def _shape(spec: v2.TensorSpec) -> Document:
    """A list of dimensions; which ones stands in words, since many readers of OpenAPI trip over `prefixItems`."""
    if v2.ANY not in spec.shape:
        return {"const": list(spec.shape)}
    dims = _array({"type": "integer", "minimum": 1}, len(spec.shape), len(spec.shape))
    return dims | {"description": spec.wanted}


def _number(spec: v2.TensorSpec) -> Document:
    return {"type": "integer", "minimum": 0, "maximum": 255} if spec.datatypes[0] == "UINT8" else {"type": "number"}


def _data(spec: v2.TensorSpec, most: int) -> Document:
    """Numbers in row-major order, or lists of lists as the shape has it."""
    if spec.shape == (1,):
        low, high = (1, most) if spec.name == "count" else (0, 2**64 - 1)
        return _array({"type": "integer", "minimum": low, "maximum": high}, 1, 1)
    number = _number(spec)
    if math.prod(spec.shape[1:]) > LONGEST_ROW:
        return _array({"type": [number["type"], "array"]}, 1)
    nested = number
    for size in reversed(spec.shape[1:]):
        nested = _array(nested, size, size)
    return {"oneOf": [_array(number, 1), _array(nested, 1, most)]}


def _protocol_paths(served: Served, structs: _Structs) -> Document:

    def get(name: str, summary: str, schema: Document, *parameters: Document, refused: Sequence[str] = ()) -> Document:
        return _operation(name, "models", summary, {JSON: schema}, parameters=parameters, refused=refused)

    live, ready = (_record({name: {"const": True}}) for name in ("live", "ready"))
    model_ready = _record({"name": {"type": "string"}, "ready": {"const": True}})
    index = _operation(
        "repository_index", "models", "Models and their states", {JSON: _array(structs.ref(v2.IndexEntry))},
        text="With `ready` only those that answer requests.",
        body={"content": {JSON: {"schema": structs.ref(v2.IndexRequest), "example": {"ready": True}}}},
    )  # fmt: skip
    statistics = structs.ref(v2.StatisticsDocument)
    server = structs.ref(v2.ServerDocument)
    found = {
        "/v2": {"get": get("server_metadata", "Name, version and extensions of the server", server)},
        "/v2/health/live": {"get": get("live", "Whether the server runs", live) | {"security": []}},
        "/v2/health/ready": {"get": get("ready", "Whether it answers requests", ready) | {"security": []}},
        "/v2/models/stats": {"get": get("statistics", "Statistics of every model", statistics)},
        "/v2/repository/index": {"post": index},
    }
    model = {"name": "model", "in": "path", "required": True, "schema": {"enum": list(v2.models(served))}}
    for end, name, summary, schema in (
        ("", "metadata", "Inputs and outputs of a model", structs.ref(v2.ModelDocument)),
        ("/ready", "model_ready", "Whether a model answers requests", model_ready),
        ("/config", "config", "The model as Triton's configuration has it", structs.ref(v2.ConfigDocument)),
        ("/stats", "model_statistics", "Statistics of a model", statistics),
    ):
        path, versioned = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
        found[f"{path}{end}"] = {"get": get(name, summary, schema, model, refused=("not_found",))}
        version = get(f"{name}_version", summary, schema, model, VERSION_PARAMETER, refused=("not_found",))
        found[f"{versioned}{end}"] = {"get": version}
    return found


def _server_paths(settings: Settings, structs: _Structs) -> Document:

    def get(name: str, summary: str, kind: str, schema: Document) -> Document:
        return _operation(name, "server", summary, {kind: schema})

    text = {"type": "string"}
    file = {"name": "name", "in": "path", "required": True, "schema": {"type": "string", "enum": page.file_names()}}
    kinds: Document = {kind: {} for kind in ("text/html", "text/css", "text/javascript", "image/svg+xml")}
    static = _operation("static", "server", "A file of the pages", kinds, parameters=(file,), refused=("not_found",))
    has_token = settings.token is not None or settings.admin_token is not None
    change = _operation(
        "change_bundle", "server", "Serve another bundle", {JSON: structs.ref(BundleAnswer)},
        text="It is loaded, warmed and tested beside the present one, and takes over between two batches.",
        body={"required": True, "content": {JSON: {"schema": structs.ref(BundleRequest),
                                                   "example": {"path": "/srv/other.ganport"}}}},
        refused=("bad_bundle", "unauthorized") if has_token else ("forbidden",),
    )  # fmt: skip
    return {
        "/v1/status": {"get": get("status", "What the server does right now", JSON, structs.ref(StatusDocument))},
        "/metrics": {"get": get("metrics", "What the server has counted, for Prometheus", "text/plain", text)},
        "/admin/bundle": {"post": change},
        "/openapi.json": {"get": get("openapi", "This document", JSON, {"type": "object"})},
        "/docs": {"get": get("docs", "This document as a page", "text/html", text)},
        "/": {"get": get("page", "Images for people", "text/html", text) | {"security": []}},
        "/static/{name}": {"get": static | {"security": []}},
    }
