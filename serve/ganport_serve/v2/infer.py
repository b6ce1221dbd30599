"""The hot path: an inference request of HTTP, from its bytes to those of its answer."""

import asyncio
import time
from collections.abc import Sequence
from http import HTTPStatus

from ganport_serve.problems import ProblemError, bad_field
from ganport_serve.reply import Reply
from ganport_serve.service import Service
from ganport_serve.v2.answer_json import reply_of
from ganport_serve.v2.binary import HEADER_LENGTH, header_length
from ganport_serve.v2.core import Tensors, run
from ganport_serve.v2.encoding import compressed, decompressed
from ganport_serve.v2.models import named
from ganport_serve.v2.parsed_request import ParsedRequest, parse

__all__ = ["infer"]

LONGEST_JSON = 8 * 2**20  # bytes; reading as many holds up every other client for about a tenth of a second
LARGE = 100_000  # numbers that take about as long to write as JSON as a small batch takes to generate


async def infer(
    service: Service, model: str, version: str | None, headers: Sequence[tuple[bytes, bytes]], body: bytes
) -> Reply:
    """Answer one inference request.

    Args:
        service: that answers.
        model: its name, as the path has it.
        version: as the path has it; None: the only one.
        headers: names in lower case.
        body: whole, within the server's bound.

    Raises:
        UnknownModelError: no such model or version.
        ProblemError: the request is wrong, with its field.
        Exception: whatever the engine raises.
    """
    known = named(service.engine.served, model, version)
    length = accept = None
    for name, value in headers:
        if name == b"inference-header-content-length":
            if length is not None:
                raise bad_field(HEADER_LENGTH, f"{HEADER_LENGTH} is given twice, wanted once")
            length = value
        elif name == b"content-encoding":
            body = await decompressed(body, value, service.settings.max_body)
        elif name == b"accept-encoding":
            accept = value
    start = header_length(length, body)
    if start > LONGEST_JSON:
        detail = (
            f"the request has {start} bytes of JSON, wanted {LONGEST_JSON} or fewer; send its tensors as binary data"
        )
        raise ProblemError.of(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, field="body")
    parsed = parse(known, body[:start])
    outputs = await run(service, parsed.call, parsed.tensors(body, start))
    reply = await _reply(service, parsed, outputs)
    return reply if accept is None else await compressed(reply, accept)


async def _reply(service: Service, parsed: ParsedRequest, outputs: Tensors) -> Reply:
    begin = time.perf_counter()
    texts = [outputs[output.name].size for output in parsed.outputs if not output.binary]
    reply = await asyncio.to_thread(reply_of, parsed, outputs) if sum(texts) > LARGE else reply_of(parsed, outputs)
    service.metrics.encoded("json" if texts else "binary", time.perf_counter() - begin)
    return reply
