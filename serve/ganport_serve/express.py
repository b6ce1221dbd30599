"""The express lane: inference requests of images, answered from bytes to bytes without a task or a future each.

At thousands of images a second the event loop shares its cores with the engine, and what a task, a router and a future
cost it is time that the engine lacks. A request goes this way where nothing about it is unusual: whole and small, for
images as bytes. Everything else goes the general way, which also answers what is wrong, so that there is one place
where requests are refused for what they say.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from ganport_runtime import InputError
from ganport_runtime.serving import QueueFullError
from ganport_runtime.serving.answer import Call

from ganport_serve.edge import Edge, Target, target_of
from ganport_serve.exchange import GONE
from ganport_serve.lifecycle import Lifecycle
from ganport_serve.local_engine import LocalEngine
from ganport_serve.noting import note_answer, note_refusal
from ganport_serve.problem_answers import ProblemAnswer, answer_to
from ganport_serve.problems import Problem, ProblemError
from ganport_serve.service import Service
from ganport_serve.v2.answer_json import reply_of
from ganport_serve.v2.binary import header_length
from ganport_serve.v2.core import Tensors, images_asked, latents_given, misfit
from ganport_serve.v2.ledger import Record, record_of
from ganport_serve.v2.models import named
from ganport_serve.v2.parsed_request import ParsedRequest, parse

__all__ = ["Admitted", "Express", "Passage"]

Finish = Callable[[int, list[tuple[bytes, bytes]], bytes | bytearray | memoryview], None]
Submit = Callable[[Callable[[Any], None]], Call[Any]]
Outcome = Any  # uint8 [n, height, width, channels], or the error

LARGEST = 65_536  # bytes of a body; more is not small talk, and is read part by part
AGE = 0.02  # seconds for which the same words tell everybody that the queue is full
MODEL = "generator"
UNUSUAL = frozenset({b"transfer-encoding", b"content-encoding", b"accept-encoding", b"expect", b"upgrade"})


class Admitted(NamedTuple):
    """A request that may go this way, as its head has it.

    Attributes:
        path: as the client has it.
        target: where it leads.
        headers: names in lower case.
    """

    path: str
    target: Target
    headers: Mapping[bytes, bytes]


class Passage:
    """One request on its way; on its event loop alone.

    Args:
        service: that answers.
        lifecycle: counts it.
        record: counts it for the protocol.
        parsed: what it asks for.
        admitted: its head.
        request_id: its name in log and answer.
        finish: gets status, headers and body.
    """

    __slots__ = (
        "_admitted",
        "_begun",
        "_call",
        "_finish",
        "_lifecycle",
        "_parsed",
        "_record",
        "_request_id",
        "_service",
    )

    def __init__(
        self,
        service: Service,
        lifecycle: Lifecycle,
        record: Record,
        parsed: ParsedRequest,
        admitted: Admitted,
        request_id: bytes,
        finish: Finish,
    ) -> None:
        self._service, self._lifecycle, self._record = service, lifecycle, record
        self._parsed, self._admitted = parsed, admitted
        self._request_id, self._finish, self._begun = request_id, finish, time.perf_counter()
        self._call: Call[Any] | None = None

    def start(self, submit: Submit) -> None:
        """Let it wait for the engine, or answer at once why it may not."""
        self._lifecycle.enter()
        try:
            self._call = submit(self._arrive)
        except Exception as error:
            self._arrive(error)

    def cancel(self) -> None:
        """Its client is gone: leave the queue."""
        if self._call is not None:
            self._call.cancel()
        self._record.failed(self._nanoseconds())
        self._leave(GONE)

    def _arrive(self, outcome: Outcome) -> None:
        if isinstance(outcome, Exception):
            self._refuse(outcome)
            return
        begun = time.perf_counter()
        try:
            reply = reply_of(self._parsed, {"image": outcome})
        except Exception as error:  # such as no memory: nobody above would answer
            self._refuse(error)
            return
        self._service.metrics.encoded("binary", time.perf_counter() - begun)
        self._answer(HTTPStatus.OK, reply.headers, reply.body)
        self._record.succeeded(len(outcome), self._nanoseconds())

    def _refuse(self, error: Exception) -> None:
        if isinstance(error, InputError):
            error = misfit(self._parsed.call, error)
        answer = answer_to(error)
        metrics, problem = self._service.metrics, answer.problem
        note_refusal(metrics, self._request_id, "POST", self._admitted.path, problem=problem, error=error)
        self._record.failed(self._nanoseconds())
        self._answer(problem.status, _without_length(answer), answer.body)

    def _answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes | bytearray | memoryview) -> None:
        headers.append((b"x-request-id", self._request_id))
        self._leave(status)
        self._finish(status, headers, body)

    def _leave(self, status: int) -> None:
        self._lifecycle.leave()
        seconds = time.perf_counter() - self._begun
        path, target, _ = self._admitted
        metrics, route = self._service.metrics, target.route
        note_answer(metrics, self._request_id, "POST", path, route=route, status=status, seconds=seconds)

    def _nanoseconds(self) -> int:
        return round((time.perf_counter() - self._begun) * 1e9)


class Refusal(NamedTuple):
    """What everybody is told while the queue is full.

    Attributes:
        error: of the queue.
        problem: what it is to a client.
        headers: without the request's name and the body's length.
        body: the document.
        since: when it was put into words.
    """

    error: QueueFullError
    problem: Problem
    headers: list[tuple[bytes, bytes]]
    body: bytes
    since: float

    @classmethod
    def of(cls, error: QueueFullError, since: float) -> "Refusal":
        """Put it into words."""
        answer = answer_to(error)
        return cls(error, answer.problem, _without_length(answer), answer.body, since)


class Express:
    """Knows which requests go this way, and starts them.

    Args:
        service: that answers.
        lifecycle: whether requests are taken.
        edge: who may ask.
        engine: of this process; requests for another one go the general way.
    """

    def __init__(self, service: Service, lifecycle: Lifecycle, edge: Edge, engine: LocalEngine) -> None:
        self._service, self._lifecycle, self._edge, self._engine = service, lifecycle, edge, engine
        self._record = record_of(service.metrics, MODEL)
        self._refusal: Refusal | None = None

    def admit(self, scope: Mapping[str, Any]) -> Admitted | None:
        """Whether a request may go this way, by its head; None where it may not."""
        path, pairs = scope["path"], scope["headers"]
        target = target_of(path)
        if scope["method"] != "POST" or target is None or target.model != MODEL:
            return None
        headers = dict(pairs)
        if len(headers) != len(pairs) or not UNUSUAL.isdisjoint(headers):  # one is given twice, or unusual
            return None
        length = headers.get(b"content-length")
        if length is None or int(length) > LARGEST:
            return None
        try:
            self._edge.admit(path, headers)
        except ProblemError:  # refused by its head alone: at once, by the general way
            return None
        return Admitted(path, target, headers)

    def take(self, admitted: Admitted, body: bytes, finish: Finish) -> Passage | None:
        """Start a whole request; None where it is answered at once, and else where it has to go the general way."""
        if self._lifecycle.is_draining:  # since its head came
            return None
        refusal = self._full()
        if refusal is not None:
            self._refuse(refusal, admitted, finish)
            return None
        headers, target = admitted.headers, admitted.target
        try:
            model = named(self._engine.served, target.model, target.version)
            start = header_length(headers.get(b"inference-header-content-length"), body)
            parsed = parse(model, body[:start])
            if not parsed.is_binary_image:
                return None
            submit = self._submit(parsed, parsed.tensors(body, start))
        except Exception:  # the general way says what is wrong
            return None
        request_id = self._edge.name(headers)
        passage = Passage(self._service, self._lifecycle, self._record, parsed, admitted, request_id, finish)
        passage.start(submit)
        return passage

    def _full(self) -> Refusal | None:
        """What to tell a request that has no room; None where it may have."""
        known, now = self._refusal, time.perf_counter()
        again = known.error if known is not None and now - known.since <= AGE else None
        error = self._engine.full(again)
        if error is None:
            return None
        if known is None or error is not known.error:
            known = self._refusal = Refusal.of(error, now)
        return known

    def _refuse(self, refusal: Refusal, admitted: Admitted, finish: Finish) -> None:
        """Refuse what has no room before it is read: under overload that is most of what comes."""
        begun = time.perf_counter()
        error, problem, headers, body, _ = refusal
        metrics, request_id = self._service.metrics, self._edge.name(admitted.headers)
        status, path, route = problem.status, admitted.path, admitted.target.route
        note_refusal(metrics, request_id, "POST", path, problem=problem, error=error)
        finish(status, [*headers, (b"x-request-id", request_id)], body)
        seconds = time.perf_counter() - begun
        note_answer(metrics, request_id, "POST", path, route=route, status=status, seconds=seconds)
        self._record.failed(round(seconds * 1e9))

    def _submit(self, parsed: ParsedRequest, tensors: Tensors) -> Submit:
        timeout = parsed.call.within(self._service.settings.request_timeout)
        if "z" in tensors:
            z = latents_given(self._service, parsed.call, tensors)
            return partial(self._engine.submit_latents, z=z, timeout=timeout)
        asked = images_asked(self._service, parsed.call, tensors)
        return partial(
            self._engine.submit_sample, count=asked.count, seed=asked.seed, start=asked.start, timeout=timeout
        )


def _without_length(answer: ProblemAnswer) -> list[tuple[bytes, bytes]]:
    """The headers without the body's length, which whoever writes the answer adds."""
    return [pair for pair in answer.headers if pair[0] != b"content-length"]
