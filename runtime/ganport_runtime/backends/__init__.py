"""The inference engines that can run a bundle, each in one file behind one protocol.

A new backend is one new file, whose class is `BACKEND`, and one line here. A backend outside ganport is a module too,
named in `$GANPORT_BACKENDS` (import paths, separated by commas). A backend's file is imported when a bundle is opened,
its library when it is first needed.
"""

import os
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import cast

from ganport_runtime.backends.protocol import Backend, Package, Session, Tensor
from ganport_runtime.errors import one_line
from ganport_runtime.machine import installed_version

__all__ = [
    "BACKENDS", "Backend", "Package", "Session", "Tensor", "all_packages", "engine_versions", "load_backend",
    "refusal_of_backend",
]  # fmt: skip

# By the last word of the module's path, in the order in which they are tried where the caller leaves the choice open.
_OWN = ("onnxruntime", "openvino", "tensorrt")
_MODULES = {name: f"{__name__}.{name}" for name in _OWN} | {
    path.rpartition(".")[2]: path for path in filter(None, os.environ.get("GANPORT_BACKENDS", "").split(","))
}
BACKENDS = tuple(_MODULES)


@cache
def load_backend(name: str) -> Backend:
    """The backend of one of the names in `BACKENDS`; one whose file cannot be imported runs nothing and says why."""
    try:
        return cast(Backend, import_module(_MODULES[name]).BACKEND())
    except Exception as error:
        return _BrokenBackend(name, one_line(f"{_MODULES[name]} cannot be imported: {type(error).__name__}: {error}"))


class _BrokenBackend(Backend):
    """A backend whose file cannot be imported."""

    devices = ("cpu",)
    packages = ()

    def __init__(self, name: str, reason: str) -> None:
        self.name, self._reason = name, reason  # type: ignore[misc]  # a class attribute of all others

    def refusal(self, device: str) -> str | None:  # noqa: ARG002
        return self._reason


def refusal_of_backend(name: str, device: str) -> str | None:
    """Why a backend cannot run on `device` here, or None. A library that is broken is a reason, whatever it raises."""
    try:
        return load_backend(name).refusal(device)
    except Exception as error:
        return one_line(f"{name} cannot be imported: {type(error).__name__}: {error}")


def all_packages() -> tuple[Package, ...]:
    """The packages of every backend, each once: its engines', then what they need."""
    backends = [load_backend(name) for name in BACKENDS]
    found = [package for backend in backends for package in (*backend.packages, *backend.helpers)]
    return tuple({package.name: package for package in found}.values())


def engine_versions(backends: Iterable[str] = BACKENDS) -> dict[str, str]:
    """The versions of the installed packages of these backends, none of which is imported."""
    names = [package.name for name in backends for package in load_backend(name).packages]
    return {name: found for name in names if (found := installed_version(name))}
