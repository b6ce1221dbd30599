"""Calls a user's `package.module:factory` and sees that it makes a network."""

import importlib
from functools import reduce
from pathlib import Path

from torch import nn

from ganport_export.errors import ModuleError
from ganport_export.trace import first_sentence
from ganport_export.weights import load_weights

__all__ = ["load_module"]


def load_module(factory: str, weights: Path) -> nn.Module:
    """The module that a factory makes, filled with weights: float32, in eval mode, on the CPU, without gradients.

    Args:
        factory: `package.module:name`, any callable without arguments that returns an `nn.Module`; a class is one too.
        weights: a safetensors file with all of the module's tensors.

    Raises:
        ModuleError: it cannot be imported or called, returns something else, or the weights do not fit.
    """
    made = _make(factory)
    if not isinstance(made, nn.Module):
        raise ModuleError(f"{factory} returned {type(made).__name__}, wanted a torch.nn.Module")
    module = made.cpu().float()
    load_weights(module, weights)
    return module.eval().requires_grad_(False)


def _make(factory: str) -> object:
    module_name, _, attribute = factory.partition(":")
    if not module_name or not attribute:
        raise ModuleError(f"{factory!r} is no factory: write package.module:factory")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # whatever the user's file raises while it is imported
        raise ModuleError(
            f"{module_name} cannot be imported: {type(error).__name__}: {first_sentence(error)}"
        ) from error
    try:
        make = reduce(getattr, attribute.split("."), module)
    except AttributeError:
        raise ModuleError(f"{module_name} ({module.__file__}) has no {attribute}") from None
    try:
        return make()  # type: ignore[operator]
    except Exception as error:
        raise ModuleError(f"{factory}() failed: {type(error).__name__}: {first_sentence(error)}") from error
