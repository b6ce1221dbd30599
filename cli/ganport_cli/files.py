"""Files that commands write: aside first, under a hidden name in the same folder, then renamed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["OutputError", "check_free", "writing"]


class OutputError(Exception):
    """Results cannot be written; the text says where, why and what to do."""


def check_free(out: Path, *, overwrite: bool) -> None:
    """See that `out` may be written before any work is done for it.

    Raises:
        OutputError: it is there already.
    """
    if out.is_dir():
        raise OutputError(f"{out} is a folder; name a file, or remove it")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists; name another file, or pass --overwrite to replace it")


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A hidden path beside `path` to write to, renamed to `path` as the block ends, deleted where it fails.

    Raises:
        OutputError: the system refused; the text has its reason.
    """
    aside = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        aside.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written ({error.strerror or error}); mend that, or name another place, and run it again"
        ) from error
    finally:
        with suppress(OSError):  # where even this is refused, nothing was written
            aside.unlink(missing_ok=True)
