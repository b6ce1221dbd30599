"""The express lane: inference requests of images, answered from bytes to bytes without a task or a future each.

At thousands of images a second the event loop shares its cores with the engine, and what a task, a router and a future
cost it is time that the engine lacks. A request goes this way where nothing about it is unusual: whole and small, for
images as bytes. Everything else goes the general way, which also answers what is wrong, so that there is one place
where requests are refused for what they say.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from ganport_runtime import InputError
from ganport_runtime.serving import QueueFullError

from ganport_serve.edge import Edge, Target, target_of
from ganport_serve.engine import Served
from ganport_serve.exchange import GONE
from ganport_serve.http_cycle import lines_of
from ganport_serve.lifecycle import Lifecycle
from ganport_serve.local_engine import LocalEngine
from ganport_serve.metrics import Metrics
from ganport_serve.noting import note_answer, note_refusal
from ganport_serve.problem_answers import ProblemAnswer, answer_to
from ganport_serve.problems import Problem, ProblemError
from ganport_serve.service import Service
from ganport_serve.v2.answer_json import image_reply
from ganport_serve.v2.binary import header_length
from ganport_serve.v2.core import images_asked, latents_given, misfit
from ganport_serve.v2.ledger import Record, record_of
from ganport_serve.v2.models import named
from ganport_serve.v2.parsed_request import ParsedRequest, parse

__all__ = ["Admitted", "Books", "Express", "Passage", "Question"]

Finish = Callable[[int, bytes, Sequence[bytes | memoryview]], None]
Submit = Callable[[Callable[[Any], None]], asyncio.Task[None]]
Outcome = Any  # uint8 [n, height, width, channels], or the error

LARGEST = 65_536  # bytes of a body; more is not small talk, and is read part by part
AGE = 0.02  # seconds for which the same words tell everybody that the queue is full
MODEL = "generator"
NAMED = b"%bx-request-id: %b\r\n"
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


class Question(NamedTuple):
    """A request up to the bytes that follow its JSON: all of it that a client sends again and again.

    Attributes:
        admitted: its head.
        parsed: its JSON.
        start: where in the body the JSON ends.
        served: the bundle that it was read for.
    """

    admitted: Admitted
    parsed: ParsedRequest
    start: int
    served: Served


class Books(NamedTuple):
    """Where requests are counted.

    Attributes:
        metrics: of the server.
        lifecycle: what is under way.
        record: for the protocol.
    """

    metrics: Metrics
    lifecycle: Lifecycle
    record: Record

    def left(self, admitted: Admitted, request_id: bytes, status: int, seconds: float) -> None:
        """Count a request that is over, whatever became of it."""
        path, target, _ = admitted
        note_answer(self.metrics, request_id, "POST", path, route=target.route, status=status, seconds=seconds)
        if status != HTTPStatus.OK:
            self.record.failed(round(seconds * 1e9))


class Passage:
    """One request on its way; on its event loop alone.

    Args:
        books: where it is counted.
        question: what it asks for.
        request_id: its name in log and answer.
        finish: gets status, header lines and the parts of the body; what it raises, it raises before it writes.

    Attributes:
        question: see there.
    """

    __slots__ = ("_begun", "_books", "_call", "_finish", "_request_id", "question")

    def __init__(self, books: Books, question: Question, request_id: bytes, finish: Finish) -> None:
        self._books, self.question = books, question
        self._request_id, self._finish, self._begun = request_id, finish, time.perf_counter()
        self._call: asyncio.Task[None] | None = None

    def start(self, submit: Submit) -> None:
        """Let it wait for the engine, or answer at once why it may not."""
        self._books.lifecycle.enter()
        try:
            self._call = submit(self._arrive)
        except Exception as error:
            self._arrive(error)

    def cancel(self) -> None:
        """Its client is gone: leave the queue."""
        if self._call is not None:
            self._call.cancel()
        self._leave(GONE)

    def _arrive(self, outcome: Outcome) -> None:
        if isinstance(outcome, Exception):
            self._refuse(outcome)
            return
        begun = time.perf_counter()
        try:
            lines, text, numbers = image_reply(self.question.parsed, outcome)
            encoded = time.perf_counter()
            self._finish(HTTPStatus.OK, NAMED % (lines, self._request_id), (text, numbers))
        except Exception as error:  # such as no memory: nobody above would answer
            self._refuse(error)
            return
        books, now = self._books, self._leave(HTTPStatus.OK)
        books.metrics.encoded("binary", encoded - begun)
        books.record.succeeded(len(outcome), round((now - self._begun) * 1e9))

    def _refuse(self, error: Exception) -> None:
        if isinstance(error, InputError):
            error = misfit(self.question.parsed.call, error)
        answer = answer_to(error)
        path, problem = self.question.admitted.path, answer.problem
        note_refusal(self._books.metrics, self._request_id, "POST", path, problem=problem, error=error)
        self._leave(problem.status)
        self._finish(problem.status, NAMED % (_lines(answer), self._request_id), (answer.body,))

    def _leave(self, status: int) -> float:
        """Count it as over; returns the clock."""
        now = time.perf_counter()
        self._books.lifecycle.leave()
        self._books.left(self.question.admitted, self._request_id, status, now - self._begun)
        return now


class Refusal(NamedTuple):
    """What everybody is told while the queue is full.

    Attributes:
        error: of the queue.
        problem: what it is to a client.
        lines: its headers without the request's name and the body's length.
        body: the document.
        since: when it was put into words.
    """

    error: QueueFullError
    problem: Problem
    lines: bytes
    body: bytes
    since: float

    @classmethod
    def of(cls, error: QueueFullError, since: float) -> "Refusal":
        """Put it into words."""
        answer = answer_to(error)
        return cls(error, answer.problem, _lines(answer), answer.body, since)


class Express:
    """Knows which requests go this way, and starts them.

    Args:
        service: that answers.
        lifecycle: whether requests are taken.
        edge: who may ask.
        engine: of this process; requests for another one go the general way.
    """

    def __init__(self, service: Service, lifecycle: Lifecycle, edge: Edge, engine: LocalEngine) -> None:
        self._service, self._edge, self._engine = service, edge, engine
        self._books = Books(service.metrics, lifecycle, record_of(service.metrics, MODEL))
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

    def take(self, admitted: Admitted, body: bytes, finish: Finish, known: Question | None = None) -> Passage | None:
        """Start a whole request; None where it was refused for want of room, and else where it goes the general way.

        A passage may be answered when this returns: the queue may refuse it for other reasons.

        Args:
            admitted: its head.
            body: of it.
            finish: gets the answer.
            known: an earlier one whose head and JSON are the same, byte by byte.
        """
        if self._books.lifecycle.is_draining:  # since its head came
            return None
        refusal = self._full()
        if refusal is not None:
            self._refuse(refusal, admitted, finish)
            return None
        try:
            served = self._engine.served
            question = known if known is not None and known.served is served else _read(admitted, body, served)
            if not question.parsed.is_binary_image:
                return None
            submit = self._submit(question, body)
        except Exception:  # the general way says what is wrong
            return None
        passage = Passage(self._books, question, self._edge.name(admitted.headers), finish)
        passage.start(submit)
        return passage

    def _full(self) -> Refusal | None:
        """What to tell a request that has no room; None where it may have."""
        known, now = self._refusal, time.perf_counter()
        error = self._engine.full()
        if error is None:
            return None
        if known is None or error is not known.error:
            known = self._refusal = Refusal.of(error, now)
        return known

    def _refuse(self, refusal: Refusal, admitted: Admitted, finish: Finish) -> None:
        """Refuse what has no room before it is read: under overload that is most of what comes."""
        begun = time.perf_counter()
        error, problem, lines, body, _ = refusal
        books, request_id = self._books, self._edge.name(admitted.headers)
        note_refusal(books.metrics, request_id, "POST", admitted.path, problem=problem, error=error)
        finish(problem.status, NAMED % (lines, request_id), (body,))
        books.left(admitted, request_id, problem.status, time.perf_counter() - begun)

    def _submit(self, question: Question, body: bytes) -> Submit:
        parsed, engine = question.parsed, self._engine
        timeout = parsed.call.within(self._service.settings.request_timeout)
        if parsed.is_one_seed:
            seed = parsed.seed(body, question.start)
            return partial(engine.submit_sample, count=1, seed=seed, start=0, timeout=timeout)
        tensors = parsed.tensors(body, question.start)
        if "z" in tensors:
            z = latents_given(self._service, parsed.call, tensors)
            return partial(engine.submit_latents, z=z, timeout=timeout)
        asked = images_asked(self._service, parsed.call, tensors)
        return partial(engine.submit_sample, count=asked.count, seed=asked.seed, start=asked.start, timeout=timeout)


def _read(admitted: Admitted, body: bytes, served: Served) -> Question:
    """Work out what a request asks for; of a form that has come before that is already done."""
    model = named(served, admitted.target.model, admitted.target.version)
    start = header_length(admitted.headers.get(b"inference-header-content-length"), body)
    return Question(admitted, parse(model, body[:start]), start, served)


def _lines(answer: ProblemAnswer) -> bytes:
    """Header lines without the body's length, which whoever writes the answer adds."""
    return lines_of(pair for pair in answer.headers if pair[0] != b"content-length")
