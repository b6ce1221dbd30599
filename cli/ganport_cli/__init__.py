"""The command line `ganport`: one file a command, each importing its part of ganport only when it runs."""

import importlib.util
import signal
import sys
from types import FrameType

INTERRUPTED = 130  # what shells expect of a program that Ctrl-C ended: 128 + SIGINT


def main() -> None:
    """Entry point of the console script; exits 0 done, 1 the work failed, 2 bad usage, 130 interrupted."""
    interrupt = _Interrupt()
    signal.signal(signal.SIGINT, interrupt)
    try:
        code = _run()
    except BaseException as error:
        # Libraries turn an interrupt in the middle of their import into errors of their own.
        if not interrupt.has_come or isinstance(error, SystemExit):
            raise
        print("ganport: interrupted", file=sys.stderr)
        code = INTERRUPTED
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what remains is the interpreter's own end
    sys.exit(code)


class _Interrupt:
    """What SIGINT does: raise `KeyboardInterrupt` as Python does, and remember it."""

    def __init__(self) -> None:
        self.has_come = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.has_come = True
        signal.default_int_handler(number, frame)


def _run() -> int:
    missing = [name for name in ("typer", "rich", "PIL") if importlib.util.find_spec(name) is None]
    if missing:
        sys.exit(f"ganport: the command line needs {', '.join(missing)}: pip install 'ganport[cli]'")
    from ganport_cli.app import run

    return run()
