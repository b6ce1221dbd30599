"""The ASGI application: every request of HTTP passes here, with its limits, token, host check, id and accounting."""

import asyncio
import hmac
import ipaddress
import itertools
import logging
import re
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from ganport_runtime.errors import shown

from ganport_serve.errors import DRAINING
from ganport_serve.refusals import GONE, Problem, ProblemError, bad_field, problem_of, refuse
from ganport_serve.service import Service
from ganport_serve.settings import Settings

T = TypeVar("T")
Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]
Endpoint = Callable[["Request"], Awaitable["Response"]]

UNMATCHED = "unmatched"  # the route of unknown paths in the metrics: their own text would make labels without bound
WITHOUT_TOKEN = ("/v2/health/", "/static/")
WHILE_DRAINING = ("/v2/health/live", "/metrics", "/v1/status")
REQUEST_ID = re.compile(rb"[!-~]{1,128}")
# Bytes of an answer that are given to the server at once. It takes the next ones when these are written, so that an
# answer that nobody reads holds no second copy.
CHUNK = 256 * 2**10
# Bytes of JSON. Parsing holds the interpreter, at some 20 MB a second for the worst documents; liveness waits as long.
LONGEST_JSON = 4 * 2**20
SECURITY: Headers = ((b"x-content-type-options", b"nosniff"), (b"cross-origin-resource-policy", b"same-origin"))
WATCHED_AFTER = 0.25  # seconds after which a request is given up where its client has left
FRESH = (b"cache-control", b"no-store")
log = logging.getLogger(__name__)


class ClientGoneError(Exception):
    """The client has closed its connection; nobody waits for an answer."""


class Response:
    """An answer.

    Attributes:
        status: of HTTP.
        headers: names in lower case, without content-length.
        body: None where there is none and its length is not told, as for HEAD and 304.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, body: bytes | None, headers: Iterable[tuple[bytes, bytes]] = (), status: int = 200) -> None:
        self.body, self.headers, self.status = body, [*headers], status


def json_response(document: object, *headers: tuple[bytes, bytes]) -> Response:
    """A document as JSON."""
    return Response(msgspec.json.encode(document), [(b"content-type", b"application/json"), *headers])


class Request:
    """A request.

    Attributes:
        method: of HTTP.
        path: decoded.
        headers: names in lower case; several of one name are joined by commas.
        params: parts of the path that its route names.
        hold: what it holds in memory.
        begun: when it came, by `time.perf_counter`.
        is_read: whether its body has come, or it has none.
        is_awaited: whether its body is awaited now; a body that nobody asked for may come when it wants.
        ending: why it is cancelled: the error that its client, if any, is told.
        watcher: looks whether its client leaves.
    """

    __slots__ = ("_query", "_receive", "_service", "begun", "ending", "headers", "hold", "is_awaited", "is_read",
                 "method", "params", "path", "watcher")  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, service: Service) -> None:
        self.begun = time.perf_counter()
        self.method, self.path, self._query = scope["method"], scope["path"], scope["query_string"]
        self.headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            self.headers[name] = self.headers[name] + b", " + value if name in self.headers else value
        self.params: Mapping[str, str] = {}
        self.hold, self._receive, self._service = service.budget.hold(), receive, service
        length = self.headers.get(b"content-length", b"0")
        self.is_read = length == b"0" and b"transfer-encoding" not in self.headers
        self.is_awaited = False
        self.ending: Exception | None = None
        self.watcher: asyncio.Task[None] | None = None

    def header(self, name: str) -> str:
        """A header's value, or an empty string."""
        return self.headers.get(name.encode(), b"").decode("latin-1")

    def query(self) -> list[tuple[str, str]]:
        """The query's parameters in order."""
        try:
            return parse_qsl(self._query.decode("latin-1"), keep_blank_values=True, max_num_fields=100)
        except ValueError:
            raise bad_field("query", "the query has more than 100 parameters, wanted fewer") from None

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            ProblemError: 413, it is too large; 408, it does not arrive; 503, other requests hold too much.
        """
        if self.is_read:
            return b""
        parts: list[bytes] = []
        size, most = 0, self._service.settings.max_body
        self.is_awaited = True
        try:
            while not self.is_read:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    raise refuse("bad_request", "the request's body broke off; send all of it")
                if part := message.get("body", b""):
                    size += len(part)
                    check_size(size, most)
                    self.hold.take(len(part))
                    parts.append(part)
                self.is_read = not message.get("more_body", False)
        finally:
            self.is_awaited = False
        if self._service.lifecycle.is_draining:
            raise refuse("draining", DRAINING, retry_after=1.0)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def document(self, kind: type[T], wanted: str) -> T:
        """The body as JSON of this type.

        Args:
            kind: a type that msgspec validates.
            wanted: what to send, for the refusal.

        Raises:
            ProblemError: 400, it is no such JSON; and whatever `body` raises.
        """
        body = await self.body()
        check_json_size(len(body))
        return await self._service.in_turn(len(body), lambda: decode_json(body or b"{}", kind, wanted))

    async def disconnected(self) -> None:
        """Wait until the client leaves; once the body has been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def check_size(size: int, limit: int) -> None:
    """Refuse a body over the limit."""
    if size > limit:
        detail = f"the request's body is larger than {limit} bytes; send less at a time, or raise --max-body-mb"
        raise refuse("too_large", detail)


def check_json_size(size: int) -> None:
    """Refuse JSON whose parsing would hold up every other client."""
    if size > LONGEST_JSON:
        detail = f"the request has {size} bytes of JSON, wanted {LONGEST_JSON} or fewer; send tensors or .npy as bytes"
        raise refuse("too_large", detail, field="body")


def decode_json(text: bytes, kind: type[T], wanted: str) -> T:
    """JSON as a value of this type.

    Raises:
        ProblemError: 400, with the field that is wrong.
    """
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        missing = re.search(r"missing required field (`\w+`)", what)
        field = (path.rstrip("`") + ("." + missing[1].strip("`") if missing else "")).lstrip(".") or "body"
        raise bad_field(field, f"{field}: {what}; {wanted}") from None
    except (ValueError, RecursionError) as error:
        raise bad_field("body", f"the JSON cannot be read: {shown(str(error), 120)[1:-1]}; {wanted}") from None


class Route:
    """One path with what answers each of its methods.

    Args:
        path: its template, such as `/v2/models/{model}`; `{rest:path}` matches any rest.
        methods: endpoints by method; HEAD is answered like GET.
    """

    def __init__(self, path: str, **methods: Endpoint) -> None:
        self.path, self.methods = path, {**methods}
        if "GET" in methods:
            self.methods.setdefault("HEAD", methods["GET"])
        pattern = re.sub(r"\\\{(\w+):path\\\}", r"(?P<\1>.*)", re.escape(path))
        self.pattern = re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", pattern))

    def endpoint(self, method: str) -> Endpoint:
        """What answers this method.

        Raises:
            ProblemError: 405, nothing does.
        """
        found = self.methods.get(method)
        if found is None:
            detail = "this path does not take this method; the header Allow names those it takes"
            raise ProblemError(Problem("bad_method", detail, allow=", ".join(sorted(self.methods))))
        return found


class Application:
    """Routes requests to endpoints, within the limits of the settings.

    Args:
        service: of this server.
        routes: all of them; a literal path wins over a template.
    """

    def __init__(self, service: Service, routes: Iterable[Route]) -> None:
        self._service, self._routes = service, [*routes]
        settings = service.settings
        self._token, self._admin = settings.token, settings.admin_token or settings.token
        self._hosts = host_names(settings) if settings.token is None else None
        self._prefix, self._numbers = secrets.token_hex(4).encode(), itertools.count(1)
        self._find = lru_cache(maxsize=256)(self._match)
        self._pending: dict[Request, asyncio.Task[Any]] = {}
        self._is_sweeping = False

    def end(self, *, unread: bool) -> None:
        """Refuse requests under way since the server stops: those whose bodies have not come, or all."""
        for request, task in [*self._pending.items()]:
            if (request.is_awaited or not unread) and request.ending is None:
                request.ending = refuse("draining", DRAINING, retry_after=1.0)
                task.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        service = self._service
        request = Request(scope, receive, service)
        request_id = self._id(request.headers)
        status, route = GONE, None
        service.lifecycle.enter()
        task = asyncio.current_task()
        assert task is not None
        self._pending[request] = task
        if not self._is_sweeping:
            self._is_sweeping = True
            asyncio.get_running_loop().call_later(WATCHED_AFTER, self._sweep)
        try:
            try:
                route, request.params = self._find(request.path)
                response = await self._answer(request, route)
            except asyncio.CancelledError:
                if request.ending is None or isinstance(request.ending, ClientGoneError):
                    raise
                task.uncancel()
                response = self._refuse(request, request_id, request.ending)
            except Exception as error:
                response = self._refuse(request, request_id, error)
            await _write(send, response, request_id, is_head=request.method == "HEAD")
            status = response.status
        except asyncio.CancelledError:
            if request.ending is None:
                raise
        finally:
            del self._pending[request]
            if request.watcher is not None:
                request.watcher.cancel()
            request.hold.release()
            service.lifecycle.leave()
            self._note(request, request_id, UNMATCHED if route is None else route.path, status)

    def _note(self, request: Request, request_id: bytes, route: str, status: int) -> None:
        seconds = time.perf_counter() - request.begun
        self._service.metrics.request("http", route, status, seconds)
        if log.isEnabledFor(logging.DEBUG):
            figures = {"status": int(status), "route": route, "milliseconds": round(seconds * 1e3, 3)}
            log.debug("request", extra=_described(request, request_id) | figures)

    def _sweep(self) -> None:
        """Look at requests that have been under way for a while: whether their bodies come, and their clients stay.

        Most are answered sooner, and cost no timer.
        """
        self._is_sweeping = bool(self._pending)
        if not self._pending:
            return
        asyncio.get_running_loop().call_later(WATCHED_AFTER, self._sweep)
        now, seconds = time.perf_counter(), self._service.settings.body_timeout
        for request, task in self._pending.items():
            age = now - request.begun
            if request.is_awaited and age > seconds and request.ending is None:
                detail = f"the request's body took longer than {seconds:g} seconds; send it at once"
                request.ending = refuse("slow_request", detail)
                task.cancel()
            elif request.is_read and age > WATCHED_AFTER and request.watcher is None:
                request.watcher = asyncio.ensure_future(self._watch(request, task))

    async def _watch(self, request: Request, task: "asyncio.Task[Any]") -> None:
        await request.disconnected()
        if request in self._pending and request.ending is None:
            request.ending = ClientGoneError()
            task.cancel()

    async def _answer(self, request: Request, route: Route | None) -> Response:
        self._admit(request)
        if route is None:
            raise refuse("not_found", "there is nothing at this path; /openapi.json lists what there is")
        response = await route.endpoint(request.method)(request)
        request.hold.take(len(response.body or b""))
        return response

    def _match(self, path: str) -> tuple[Route | None, Mapping[str, str]]:
        for route in self._routes:
            if route.path == path:
                return route, {}
        for route in self._routes:
            if found := route.pattern.fullmatch(path):
                return route, found.groupdict()
        return None, {}

    def _admit(self, request: Request) -> None:
        """Refuse what can be refused by its head alone."""
        path, headers = request.path, request.headers
        if self._hosts is not None:
            host = request.header("host")
            if not _is_own_host(host, self._hosts):
                detail = f"Host is {shown(host)}, which is no name of this server; add it by --allowed-host"
                raise refuse("bad_host", f"{detail}, or set a token", field="Host")
        wanted = self._admin if path.startswith("/admin/") else self._token
        if wanted is not None and not (path == "/" or path.startswith(WITHOUT_TOKEN)):
            check_token(headers.get(b"authorization", b""), wanted)
        if self._service.lifecycle.is_draining and path not in WHILE_DRAINING:
            raise refuse("draining", DRAINING, retry_after=1.0)
        length = headers.get(b"content-length")
        if length is not None and length.isdigit():
            check_size(int(length), self._service.settings.max_body)

    def _id(self, headers: Mapping[bytes, bytes]) -> bytes:
        """The request's id: the client's own, or a new one."""
        given = headers.get(b"x-request-id")
        if given is not None and REQUEST_ID.fullmatch(given):
            return given
        return b"%s-%x" % (self._prefix, next(self._numbers))

    def _refuse(self, request: Request, request_id: bytes, error: Exception) -> Response:
        problem = problem_of(error)
        self._service.metrics.refused(problem.reason)
        if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("request failed", exc_info=error, extra=_described(request, request_id))
        return Response(msgspec.json.encode(problem.document()), problem.headers(), problem.status)


async def _write(send: Send, response: Response, request_id: bytes, *, is_head: bool) -> None:
    body = response.body
    headers = [*response.headers, *SECURITY, (b"x-request-id", request_id)]
    if body is not None:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if body is None or is_head:
        body = b""
    for start in range(0, len(body) - CHUNK, CHUNK):
        await send({"type": "http.response.body", "body": body[start : start + CHUNK], "more_body": True})
    last = (max(0, len(body) - 1) // CHUNK) * CHUNK
    await send({"type": "http.response.body", "body": body[last:] if last else body})


def check_token(given: bytes, wanted: str) -> None:
    """See that `Authorization` holds the token.

    Raises:
        ProblemError: 401.
    """
    scheme, _, token = given.partition(b" ")
    if not hmac.compare_digest(token.strip(), wanted.encode()) or scheme.lower() != b"bearer":
        was = "with another one" if given else "without it"
        detail = f"this server wants its token, 'Authorization: Bearer TOKEN', and the request came {was}"
        raise refuse("unauthorized", detail)


def host_names(settings: Settings) -> frozenset[str]:
    """The names by which clients may call this server.

    A web page may let its own name lead to this machine (DNS rebinding), and would then read images as if they were
    its own. It cannot change the header `Host`. IP addresses are always allowed: a page has none as its name.
    """
    names = {"localhost", settings.host, *settings.allowed_hosts}
    with suppress(OSError):
        names |= {socket.gethostname(), socket.getfqdn()}
    return frozenset(name.lower().rstrip(".") for name in names)


@lru_cache(maxsize=256)
def _is_own_host(given: str, names: frozenset[str]) -> bool:
    host = given.strip().lower()
    host = host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    host = host.rstrip(".")
    if not host or host in names or host.endswith(".localhost"):
        return True
    with suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False


def _described(request: Request, request_id: bytes) -> dict[str, str]:
    return {"request": request_id.decode("ascii"), "method": request.method, "path": request.path}
