"""The ASGI application around all others: who may ask, how much, and what a refusal looks like."""

import asyncio
import hmac
import itertools
import re
import secrets
import time
from collections.abc import Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from ganport_serve.byte_budget import ByteBudget
from ganport_serve.exchange import Exchange, too_large
from ganport_serve.lifecycle import DRAINING, Lifecycle
from ganport_serve.noting import note_answer, note_refusal
from ganport_serve.problem_answers import answer_to
from ganport_serve.problems import ProblemError
from ganport_serve.service import Service
from ganport_serve.v2.infer import infer

__all__ = ["Edge", "Target", "target_of"]

INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
ROUTES = {False: "/v2/models/{model}/infer", True: "/v2/models/{model}/versions/{version}/infer"}
UNMATCHED = "unmatched"  # paths that lead nowhere: their own text would be a label for every typing error
WITHOUT_TOKEN = ("/v2/health/", "/static/")
WHILE_DRAINING = ("/v2/health/live", "/metrics", "/v1/status")
REQUEST_ID = re.compile(rb"[!-~]{1,128}")


class Target(NamedTuple):
    """Where an inference request goes: model and version as its path has them, and the path's template."""

    model: str
    version: str | None
    route: str


class Edge:
    """Enforces token, limits and draining; answers inference by the shortest way, and leaves the rest to routes.

    Args:
        service: what is served.
        lifecycle: whether requests are taken.
        routes: everything but inference.
    """

    def __init__(self, service: Service, lifecycle: Lifecycle, routes: ASGIApp) -> None:
        self._service, self._lifecycle, self._routes = service, lifecycle, routes
        token, self._max_body = service.settings.token, service.settings.max_body
        self._budget = ByteBudget(max(service.settings.max_bodies, self._max_body))
        self._token = None if token is None else token.encode()
        self._prefix, self._numbers = secrets.token_hex(4).encode(), itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request of HTTP."""
        begun = time.perf_counter()
        headers = dict(scope["headers"])
        exchange = Exchange(scope, receive, send, self._max_body, self._budget, self.name(headers))
        target = target_of(scope["path"])
        self._lifecycle.enter()
        try:
            self.admit(scope["path"], headers)
            if target is None:
                scope["app"] = self._routes  # so that the router raises what it refuses
                await self._routes(scope, exchange.receive, exchange.send)
            else:
                await self._infer(exchange, target)
        except (asyncio.CancelledError, ClientDisconnect):
            pass  # the client is gone; nobody is there to be answered
        except Exception as error:
            await self._refuse(exchange, error)
        finally:
            self._lifecycle.leave()
            exchange.let_go()
            route = getattr(scope.get("route"), "path", UNMATCHED) if target is None else target.route
            note_answer(
                self._service.metrics,
                exchange.id,
                scope["method"],
                scope["path"],
                route=route,
                status=exchange.status,
                seconds=time.perf_counter() - begun,
            )

    async def _infer(self, exchange: Exchange, target: Target) -> None:
        scope = exchange.scope
        if scope["method"] != "POST":
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"allow": "POST"})
        body = await exchange.body()
        reply = await infer(self._service, target.model, target.version, scope["headers"], body)
        exchange.status = HTTPStatus.OK
        reply.headers.append((b"x-request-id", exchange.id))
        await scope["extensions"]["ganport.reply"]["reply"](reply.headers, reply.body)

    def admit(self, path: str, headers: Mapping[bytes, bytes]) -> None:
        """Refuse what can be refused by its head alone."""
        if self._token is not None and not (path == "/" or path.startswith(WITHOUT_TOKEN)):
            _check_token(headers.get(b"authorization", b""), self._token)
        if self._lifecycle.is_draining and path not in WHILE_DRAINING:
            raise ProblemError.of(HTTPStatus.SERVICE_UNAVAILABLE, DRAINING, retry_after=1.0)
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._max_body:
            raise too_large(self._max_body)

    def name(self, headers: Mapping[bytes, bytes]) -> bytes:
        """The request's id: the client's own, or a new one."""
        given = headers.get(b"x-request-id")
        if given is not None and REQUEST_ID.fullmatch(given):
            return given
        return b"%s-%x" % (self._prefix, next(self._numbers))

    async def _refuse(self, exchange: Exchange, error: Exception) -> None:
        answer = answer_to(error)
        method, path = exchange.scope["method"], exchange.scope["path"]
        note_refusal(self._service.metrics, exchange.id, method, path, problem=answer.problem, error=error)
        if exchange.has_begun:  # too late for another answer: without its end the client sees that this one broke off
            return
        start = {"type": "http.response.start", "status": answer.problem.status, "headers": answer.headers}
        await exchange.send(start)
        await exchange.send({"type": "http.response.body", "body": answer.body})


@lru_cache(maxsize=256)
def target_of(path: str) -> Target | None:
    """Where a path leads; None where it is none of inference."""
    found = INFER.fullmatch(path)
    return None if found is None else Target(found[1], found[2], ROUTES[found[2] is not None])


def _check_token(given: bytes, wanted: bytes) -> None:
    scheme, _, token = given.partition(b" ")
    if not hmac.compare_digest(token.strip(), wanted) or scheme.lower() != b"bearer":
        was = "with another one" if given else "without it"
        detail = f"this server wants its token, 'Authorization: Bearer TOKEN', and the request came {was}"
        raise ProblemError.of(HTTPStatus.UNAUTHORIZED, detail)
