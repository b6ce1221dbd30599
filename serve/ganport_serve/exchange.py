"""One request and its answer at the server's edge: a body within its bounds, and what is known of the answer."""

from http import HTTPStatus

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from ganport_serve.byte_budget import ByteBudget
from ganport_serve.problems import ProblemError

__all__ = ["GONE", "Exchange"]

GONE = 499  # what log and metrics call a request whose client did not wait; no such client sees a status


class Exchange:
    """Wraps the server's `receive` and `send`.

    Attributes:
        scope: the request as ASGI has it.
        id: the request's name in log and answer.
        status: of the answer; 499 until there is one.
    """

    __slots__ = ("_body_bytes", "_budget", "_max_body", "_receive", "_send", "id", "scope", "status")

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, max_body: int, budget: ByteBudget, request_id: bytes
    ) -> None:
        self.scope, self.id, self.status = scope, request_id, GONE
        self._receive, self._send = receive, send
        self._max_body, self._budget, self._body_bytes = max_body, budget, 0

    @property
    def has_begun(self) -> bool:
        """Whether an answer is on its way, so that no other one can be given."""
        return self.status != GONE

    async def body(self) -> bytes:
        """The whole body.

        Raises:
            ProblemError: 413, it is too large; 408, it does not come; 503, all bodies together are.
            ClientDisconnect: nobody waits for an answer.
        """
        message = await self.receive()
        parts = [message.get("body", b"")]
        while message.get("more_body", False):
            message = await self.receive()
            parts.append(message.get("body", b""))
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def receive(self) -> Message:
        """The next part of the body, as long as all parts are within the bound, and those of all requests in theirs."""
        message = await self._receive()
        size = len(message.get("body", b""))
        if self._body_bytes + size > self._max_body:
            raise too_large(self._max_body)
        self._budget.take(size)
        self._body_bytes += size
        return message

    def let_go(self) -> None:
        """Nobody needs the body any more."""
        self._budget.give_back(self._body_bytes)
        self._body_bytes = 0

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.id)]
        await self._send(message)


def too_large(max_body: int) -> ProblemError:
    """The refusal of a body over the bound, by its length as announced or as it came."""
    return ProblemError.of(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the request's body is larger than {max_body} bytes; send less at a time, or raise --max-body-mb",
    )
