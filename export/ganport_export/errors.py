"""What an export tells its caller: errors, and lines of notes and progress."""

import contextlib
import logging
import re
from collections.abc import Callable, Iterator


class ExportError(Exception):
    """Base of every error that a user of the export part can mend."""


class ModuleError(ExportError):
    """A user's own module that cannot be imported, filled with its weights, or run as a generator."""


class TraceError(ExportError):
    """A network that PyTorch cannot turn into an ONNX graph of any batch size."""


class ParityError(ExportError):
    """An ONNX graph that does not compute what the network computes; no bundle is made of it."""


class QuantizeError(ExportError):
    """A graph of which nothing would compute in the precision that is wanted."""


class OutputError(ExportError):
    """A place where the bundle cannot be written."""


Observer = Callable[[str], None]
"""Told in one line of what the user should know."""

Progress = Callable[[str], None]
"""Told what is being done, as one line that replaces the one before."""

_logger = logging.getLogger("ganport_export")


def log(line: str) -> None:
    """The observer of callers who name none: Python's logging, which shows it on stderr where nothing is set up."""
    _logger.warning(line)


def quiet(line: str) -> None:
    """The progress of callers who name none."""


@contextlib.contextmanager
def user_code(doing: str, remedy: str = "") -> Iterator[None]:
    """Turn what the user's code raises into a `ModuleError`; `sys.exit` is no way out of an export either."""
    try:
        yield
    except ExportError:
        raise
    except SystemExit as error:
        raise ModuleError(f"{doing}: it ends the program by sys.exit({error.code!r}); take that out") from error
    except Exception as error:
        cause = f"{type(error).__name__}: {first_sentence(error)}"
        raise ModuleError(f"{doing}: {cause}" + (f"; {remedy}" if remedy else "")) from error


def first_sentence(error: BaseException) -> str:
    """The first sentence of what an error was caused by, without terminal colors."""
    while error.__cause__ is not None:
        error = error.__cause__
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    line = plain.splitlines()[0] if plain else type(error).__name__
    return re.split(r"(?<=[.!?])\s", line, maxsplit=1)[0].rstrip(".:")
