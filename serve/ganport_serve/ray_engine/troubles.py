"""Carries errors across processes as values: an exception would come back wrapped, without what it knows."""

from collections.abc import Callable
from dataclasses import dataclass

from ganport_runtime import BundleError, ClosedError, InputError, PlanError
from ganport_runtime.serving import DeadlineError, QueueFullError

from ganport_serve.errors import NotReadyError, ServeError, UnknownModelError

__all__ = ["ElsewhereError", "Trouble", "error_of", "error_of_text", "trouble_of"]


class ElsewhereError(ServeError):
    """The replica does not serve the bundle that is wanted; the text is the digest of the one that it serves."""


@dataclass(frozen=True)
class Trouble:
    """An error as a value.

    Attributes:
        kind: the name of its class.
        text: what it says.
        retry_after: seconds after which to ask again, where that helps.
    """

    kind: str
    text: str
    retry_after: float = 1.0


_TIMED: dict[str, Callable[[Trouble], Exception]] = {
    QueueFullError.__name__: lambda trouble: QueueFullError(trouble.text, trouble.retry_after),
    NotReadyError.__name__: lambda trouble: NotReadyError(trouble.text, trouble.retry_after),
    # a replica that closes is one of several: another one serves
    ClosedError.__name__: lambda trouble: NotReadyError(trouble.text, trouble.retry_after),
}
_PLAIN: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (InputError, DeadlineError, PlanError, BundleError, UnknownModelError, ElsewhereError)
}


def trouble_of(error: Exception) -> Trouble:
    """The value that stands for an error; its class is looked for among its bases."""
    text = " ".join(str(error).split())
    kind = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _TIMED | _PLAIN), "")
    if not kind:
        return Trouble("", f"{type(error).__name__}: {text}")
    return Trouble(kind, text, getattr(error, "retry_after", 1.0))


def error_of(trouble: Trouble) -> Exception:
    """The error that a value stands for; ServeError for one that nobody foresaw."""
    if trouble.kind in _TIMED:
        return _TIMED[trouble.kind](trouble)
    if trouble.kind in _PLAIN:
        return _PLAIN[trouble.kind](trouble.text)
    return ServeError(f"a replica failed: {trouble.text}")


def error_of_text(text: str) -> Exception:
    """The error that a traceback, as Ray reports it of a replica that did not start, ends with."""
    for line in reversed(text.splitlines()):
        name, colon, rest = line.strip().partition(": ")
        kind = name.rpartition(".")[2]
        if colon and kind in _TIMED | _PLAIN:
            return error_of(Trouble(kind, rest))
    return ServeError(f"Ray cannot start the replicas: {' '.join(text.split())[-500:]}")
