"""Imports OpenVINO with its telemetry left out.

Left alone, `import openvino` starts a process that reports the import to a web analytics service, and writes files to
the home directory. Where its telemetry package cannot be imported it takes a stand-in of its own that does nothing.
"""

import sys
from importlib import import_module
from threading import Lock
from types import ModuleType

__all__ = ["import_openvino"]

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
