"""Stands around whatever runs a user's own code, so that its failure is one line and never a traceback."""

import contextlib
from collections.abc import Iterator

from ganport_export.errors import ExportError, ModuleError
from ganport_export.trace import first_sentence

__all__ = ["user_code"]


@contextlib.contextmanager
def user_code(doing: str, remedy: str = "") -> Iterator[None]:
    """Turn what the user's code raises into a `ModuleError`; `sys.exit` is no way out of an export either.

    Args:
        doing: what failed, as the line begins.
        remedy: what to do, as it ends.
    """
    try:
        yield
    except ExportError:
        raise
    except SystemExit as error:
        raise ModuleError(f"{doing}: it ends the program by sys.exit({error.code!r}); take that out") from error
    except Exception as error:
        cause = f"{type(error).__name__}: {first_sentence(error)}"
        raise ModuleError(f"{doing}: {cause}" + (f"; {remedy}" if remedy else "")) from error
