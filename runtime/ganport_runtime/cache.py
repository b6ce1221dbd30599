"""What ganport remembers of this machine between runs: small files in the user's cache folder."""

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["cache_folder", "write_whole"]


def cache_folder() -> Path:
    """`$GANPORT_CACHE`, or else `ganport` in `$XDG_CACHE_HOME` or `~/.cache`; it need not exist.

    Raises:
        OSError: there is no home directory.
    """
    own = os.environ.get("GANPORT_CACHE")
    if own:
        return Path(own)
    common = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        # The XDG specification: a path that is not absolute is to be ignored.
        return (common if common.is_absolute() else Path.home() / ".cache") / "ganport"
    except RuntimeError as error:
        raise OSError("no home directory; set GANPORT_CACHE to a folder") from error


def write_whole(file: Path, data: bytes) -> None:
    """Write a file aside and rename it, so that it appears whole or not at all; folders above it are made.

    Raises:
        OSError: it cannot be written.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{file.name}.{os.getpid()}-{os.urandom(4).hex()}")
    try:
        aside.write_bytes(data)
        aside.replace(file)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise
