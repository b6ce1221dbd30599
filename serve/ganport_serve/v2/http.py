"""The Open Inference Protocol over HTTP: inference, and what describes the server and its models."""

import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

from ganport_runtime import InputError
from ganport_runtime.errors import shown

from ganport_serve.errors import NotReadyError
from ganport_serve.http import Request, Response, Route, check_json_size, json_response
from ganport_serve.refusals import ProblemError, bad_field, refuse
from ganport_serve.service import SMALL, Hold, Service
from ganport_serve.v2.models import (
    IndexRequest,
    Model,
    config_document,
    model_document,
    models,
    named,
    repository_index,
    server_document,
    statistics,
)
from ganport_serve.v2.tensors import InferenceCall, Tensors, header_length, parse, response_of

NOT_SERVED = {
    "/v2/repository/models/{model}/load": "models are not loaded one by one; POST /admin/bundle changes the bundle",
    "/v2/repository/models/{model}/unload": "models are not unloaded; stop the server, or POST /admin/bundle",
    "/v2/systemsharedmemory{rest:path}": "shared memory is not served; tensors come and go with the request",
    "/v2/cudasharedmemory{rest:path}": "shared memory is not served; tensors come and go with the request",
    "/v2/trace/setting": "tracing is not served; /metrics says where time goes",
    "/v2/models/{model}/trace/setting": "tracing is not served; /metrics says where time goes",
    "/v2/logging": "log settings are not changed over the network; ganport serve has them as options",
}
ENCODING = "Content-Encoding"
_WINDOWS = {b"gzip": zlib.MAX_WBITS + 16, b"deflate": zlib.MAX_WBITS}  # deflate on the web is zlib's format
_FAST = 1  # pixels hardly shrink at any level
_LARGEST_RATIO = 1032  # that deflate reaches


def routes(service: Service) -> list[Route]:
    """Every route of the protocol."""
    infer = partial(_infer, service)
    return [
        Route("/v2/models/{model}/infer", POST=infer),
        Route("/v2/models/{model}/versions/{version}/infer", POST=infer),
        _get("/v2", lambda: json_response(server_document())),
        _get("/v2/health/live", lambda: json_response({"live": True})),
        _get("/v2/health/ready", lambda: _ready(service, {"ready": True})),
        _get("/v2/models/stats", lambda: json_response(statistics(service, models(service.engine.served).values()))),
        *_of_model(service, "", lambda model: json_response(model_document(model))),
        *_of_model(service, "/ready", lambda model: _ready(service, {"name": model.name, "ready": True})),
        *_of_model(service, "/config", lambda model: json_response(config_document(service, model))),
        *_of_model(service, "/stats", lambda model: json_response(statistics(service, [model]))),
        Route("/v2/repository/index", POST=partial(_index, service)),
        *(Route(path, GET=partial(_refuse, text), POST=partial(_refuse, text)) for path, text in NOT_SERVED.items()),
    ]


def _get(path: str, answer: Callable[[], Response]) -> Route:
    async def endpoint(_: Request) -> Response:
        return answer()

    return Route(path, GET=endpoint)


def _of_model(service: Service, end: str, answer: Callable[[Model], Response]) -> list[Route]:
    """The route of something that a model has, with and without its version."""

    async def endpoint(request: Request) -> Response:
        return answer(named(service.engine.served, request.params["model"], request.params.get("version")))

    return [Route(f"/v2/models/{{model}}{version}{end}", GET=endpoint) for version in ("", "/versions/{version}")]


def _ready(service: Service, document: dict[str, Any]) -> Response:
    reason = service.engine.refusal()
    if reason is not None:
        raise NotReadyError(reason)
    return json_response(document)


async def _index(service: Service, request: Request) -> Response:
    asked = await request.document(IndexRequest, 'wanted an object such as {"ready": true}')
    return json_response(repository_index(service, ready=asked.ready))


async def _refuse(detail: str, _: Request) -> Response:
    raise refuse("not_served", detail)


async def _infer(service: Service, request: Request) -> Response:
    """Answer one inference request."""
    model = named(service.engine.served, request.params["model"], request.params.get("version"))
    body = await request.body()
    encoding = request.headers.get(b"content-encoding")
    if encoding is not None:
        body = await _decompressed(service, request, body, encoding.lower())
    start = header_length(request.headers.get(b"inference-header-content-length"), body)
    check_json_size(start)
    parsed = await service.in_turn(start, lambda: parse(model, body[:start], service.settings.max_count))
    shown_as_text = {output.name for output in parsed.outputs if not output.binary}
    row = sum(spec.row_bytes + (spec.row_text if spec.name in shown_as_text else 0) for spec in model.outputs)
    outputs, size = await run(service, parsed.call, parsed.tensors(body, start), request.hold, row)
    begun = time.perf_counter()
    text = sum(outputs[name].size for name in shown_as_text)
    making = partial(response_of, parsed, outputs)
    response = await service.in_thread(making) if text > SMALL else making()
    request.hold.take(-size)
    service.metrics.encoded("json" if text else "binary", time.perf_counter() - begun)
    accepted = request.headers.get(b"accept-encoding")
    if accepted in _WINDOWS and response.body is not None:
        # Libraries and browsers offer lists of encodings with every request; pixels of a generator would cost much
        # time for few bytes. A client that names a single one gets it.
        response.body = await service.in_thread(_deflated, response.body, accepted)
        response.headers.append((b"content-encoding", accepted))
    return response


async def _decompressed(service: Service, request: Request, body: bytes, encoding: bytes) -> bytes:
    """The body behind its content encoding, charged to the budget.

    Raises:
        ProblemError: an encoding that is not read, bytes that are not of it, or more of them than a body may have.
    """
    if encoding == b"identity":
        return body
    if encoding not in _WINDOWS:
        detail = f"{ENCODING} is {shown(encoding.decode('latin-1'))}, wanted gzip, deflate or none"
        raise refuse("bad_media_type", detail, field=ENCODING)
    limit = service.settings.max_body
    most = min(limit, len(body) * _LARGEST_RATIO)
    request.hold.take(most)
    plain = await service.in_thread(_inflated, body, encoding, limit)
    request.hold.take(len(plain) - most)
    return plain


def _inflated(body: bytes, encoding: bytes, limit: int) -> bytes:
    stream = zlib.decompressobj(_WINDOWS[encoding])
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error as error:
        raise bad_field("body", f"the body is no {encoding.decode()}: {error}") from None
    if len(plain) > limit:
        detail = f"the body holds more than {limit} bytes once decompressed, wanted {limit} or fewer"
        raise refuse("too_large", f"{detail}; send less at a time", field="body")
    if not stream.eof or stream.unused_data:
        what = "more than one stream" if stream.eof else "cut short"
        raise bad_field("body", f"the body is {what}, wanted one whole stream of {encoding.decode()}")
    return plain


def _deflated(body: bytes, encoding: bytes) -> bytes:
    stream = zlib.compressobj(_FAST, wbits=_WINDOWS[encoding])
    return stream.compress(body) + stream.flush()


async def run(service: Service, call: InferenceCall, tensors: Tensors, hold: Hold, row: int) -> tuple[Tensors, int]:
    """Every output of the model for these inputs, and what `hold` holds for them now; counted in the statistics.

    Args:
        service: that answers.
        call: what is asked; a request's own timeout counts where it is shorter than the server's.
        tensors: each input that `call` declares, of the dtype and shape declared.
        hold: takes what the answer will need, before it is made.
        row: bytes that the answer needs for each image.

    Raises:
        ProblemError: numbers are out of range, with the field; the answer would never fit, or does not now.
        Exception: whatever the engine raises.
    """
    counted = service.metrics.models[call.model.name]
    begun, size = time.perf_counter_ns(), 0
    try:
        needed = _checked_count(service, call, tensors, row) * row
        hold.take(needed)
        size = needed
        outputs = await _outputs(service, call, tensors)
    except BaseException:
        hold.take(-size)
        counted.failed(time.perf_counter_ns() - begun)
        raise
    rows = len(next(iter(outputs.values())))
    counted.succeeded(rows, time.perf_counter_ns() - begun)
    return outputs, size


async def _outputs(service: Service, call: InferenceCall, tensors: Tensors) -> Tensors:
    engine, timeout = service.engine, call.within(service.settings.request_timeout)
    try:
        if "image" in tensors:
            scores = await engine.examine(tensors["image"], timeout=timeout)
            return {"logit": scores.logits, "features": scores.features}
        if "z" in tensors:
            return {"image": await engine.generate(tensors["z"], timeout=timeout)}
        count, seed, start = _images_asked(call, tensors)
        return {"image": await engine.sample(count, seed=seed, start=start, timeout=timeout)}
    except InputError as error:
        raise _misfit(call, error) from None


def _images_asked(call: InferenceCall, tensors: Tensors) -> tuple[int, int, int]:
    """Count, seed and start of a request with the input `seed`."""
    numbers = {name: int(array[0]) for name, array in tensors.items()}
    for name, number in numbers.items():
        if number < 0:
            raise bad_field(f"{call.field(name)}.data", f"{name} is {number}, wanted 0 to 2^64 - 1")
    return numbers.get("count", 1), numbers["seed"], numbers.get("start", 0)


def _misfit(call: InferenceCall, error: InputError) -> ProblemError:
    """The problem of numbers that the runtime refuses, with the field that holds them."""
    first = call.declared[0]
    is_alone = len(call.declared) == 1 and first.name != "seed"
    return bad_field(f"{first.field}.data" if is_alone else "inputs", str(error))


def _checked_count(service: Service, call: InferenceCall, tensors: Tensors, row: int) -> int:
    """How many images a request is about; its answer needs so many bytes for each."""
    name, member = next(((name, "shape") for name in ("image", "z") if name in tensors), ("count", "data"))
    count = len(tensors[name]) if member == "shape" else int(tensors[name][0]) if name in tensors else 1
    limit, most = service.settings.max_count, service.budget.size // row
    if not 1 <= count <= limit:
        what = f"count is {count}" if name == "count" else f"{name} has {count} rows"
        raise bad_field(f"{call.field(name)}.{member}", f"{what}, wanted 1 to {limit} in one request")
    if count > most:
        what = f"the answer to {count} images would need {count * row} bytes of {service.budget.size}"
        raise bad_field(f"{call.field(name)}.{member}", f"{what}; ask for {most} or fewer in one request")
    return count
