"""The logger of a library of the TensorRT family: it prints nothing and keeps what a user should be told."""

from collections import deque
from functools import cache
from typing import Any

from ganport_runtime.text import one_line

__all__ = ["log_of"]

KEPT = 100  # lines; a session that runs for months must not grow by them


@cache
def log_of(library: Any) -> Any:
    """The `ILogger` of `library` with what it was told: `errors`, `warnings`, and `said` for a line about a failure.

    There is one for the whole process: TensorRT goes on with the first that it was given and ignores every later one.
    """

    class Log(library.ILogger):  # type: ignore[misc]  # the library is known when it is loaded, not before
        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=KEPT)
            self.warnings: deque[str] = deque(maxlen=KEPT)

        def log(self, severity: Any, message: str) -> None:
            if severity in (library.ILogger.ERROR, library.ILogger.INTERNAL_ERROR):
                self.errors.append(message)
            elif severity == library.ILogger.WARNING:
                self.warnings.append(message)

        def clear(self) -> None:
            """Forget what was said, before something begins that may fail."""
            self.errors.clear()
            self.warnings.clear()

        def said(self, otherwise: str) -> str:
            """The first error, which the later ones follow from."""
            return one_line(self.errors[0]) if self.errors else otherwise

    return Log()
