"""What ganport remembers of this machine between runs: small files in the user's cache folder."""

import os
from pathlib import Path


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
