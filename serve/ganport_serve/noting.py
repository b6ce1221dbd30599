"""What metrics and log say of a request of HTTP, whichever lane it took."""

import logging
from http import HTTPStatus

from ganport_serve.metrics import Metrics
from ganport_serve.problems import Problem
from ganport_serve.reasons import reason_of

__all__ = ["note_answer", "note_refusal"]

log = logging.getLogger(__name__)


def note_answer(
    metrics: Metrics, request_id: bytes, method: str, path: str, *, route: str, status: int, seconds: float
) -> None:
    """Count a request that has come to its end.

    Args:
        metrics: of the server.
        request_id: its name in log and answer.
        method: as the client has it, like `path`.
        path: see there.
        route: the template of its path.
        status: of its answer.
        seconds: that it took.
    """
    metrics.request("http", route, status, seconds)
    if log.isEnabledFor(logging.DEBUG):
        figures = {"status": int(status), "route": route, "milliseconds": round(seconds * 1e3, 3)}
        log.debug("request", extra=_described(request_id, method, path) | figures)


def note_refusal(
    metrics: Metrics, request_id: bytes, method: str, path: str, *, problem: Problem, error: Exception
) -> None:
    """Count why a request is refused; of an error that nobody foresaw the log says all."""
    metrics.refused(reason_of(problem))
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request failed", exc_info=error, extra=_described(request_id, method, path))


def _described(request_id: bytes, method: str, path: str) -> dict[str, str]:
    return {"request": request_id.decode("ascii"), "method": method, "path": path}
