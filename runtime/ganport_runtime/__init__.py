"""Runs a bundle: numpy and an inference engine, nothing else.

    from ganport_runtime import Generator

    with Generator.open("emoji.ganport") as generator:
        images = generator.sample(16, seed=7)  # uint8 [16, 64, 64, 3]

Most of it is imported when it is first named, so that importing the package costs next to nothing beside numpy.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from ganport_runtime._version import __version__
from ganport_runtime.errors import BundleError, ClosedError, InputError, PlanError
from ganport_runtime.latents import latents

if TYPE_CHECKING:
    from ganport_runtime.bundle import Bundle
    from ganport_runtime.network import Discriminator, Generator
    from ganport_runtime.plan import Plan, Refusal
    from ganport_runtime.serving.batcher import Batcher, Scorer

__all__ = [
    "Batcher", "Bundle", "BundleError", "ClosedError", "Discriminator", "Generator", "InputError", "Plan",
    "PlanError", "Refusal", "Scorer", "__version__", "latents",
]  # fmt: skip

_MODULES = {
    "Batcher": "serving.batcher",
    "Bundle": "bundle",
    "Discriminator": "network",
    "Generator": "network",
    "Plan": "plan",
    "Refusal": "plan",
    "Scorer": "serving.batcher",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
