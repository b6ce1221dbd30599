"""The command line `ganport`: one file a command, each importing its part of ganport only when it runs."""

import importlib.util
import sys

__all__ = ["main"]


def main() -> None:
    """Entry point of the console script; exits 0 done, 1 the work failed, 2 bad usage, 130 interrupted."""
    missing = [name for name in ("typer", "rich", "PIL") if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"ganport: the command line needs {', '.join(missing)}: pip install 'ganport[cli]'")
    from ganport_cli.app import run

    sys.exit(run())
