"""Imports OpenVINO with its telemetry left out, and holds the one entry to it.

Left alone, `import openvino` starts a process that reports the import to a web analytics service, and writes files to
the home directory. Where its telemetry package cannot be imported it takes a stand-in of its own that does nothing.
"""

import sys
from functools import cache
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import Any

__all__ = ["import_openvino", "openvino_core"]

TELEMETRY = "openvino_telemetry"
_IMPORTING = Lock()


def import_openvino() -> ModuleType:
    """The module `openvino`, imported without its telemetry unless something else has imported it before.

    Raises:
        ImportError: it is not installed, or broken.
    """
    with _IMPORTING:
        found = sys.modules.get("openvino")
        if found is not None:
            return found
        kept = sys.modules.get(TELEMETRY)
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # makes its import an ImportError
        try:
            return import_module("openvino")
        finally:
            if kept is None:
                del sys.modules[TELEMETRY]
            else:
                sys.modules[TELEMETRY] = kept


@cache
def openvino_core() -> Any:
    """The one entry of this process to the library, which its threads share.

    Never make a second one: the CPU plugin of each gives the calling thread a stack for signals, and the one before
    back when it ends. Of two that end in the order in which they were made the second gives back memory that is gone
    (OpenVINO 2026.4), and the thread's next signal, such as Ctrl-C, ends the process without a word.
    """
    return import_openvino().Core()
