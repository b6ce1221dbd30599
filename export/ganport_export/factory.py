"""Calls a user's `package.module:factory` and sees that it makes a network."""

import importlib
from functools import reduce
from pathlib import Path

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ganport_export.errors import ModuleError
from ganport_export.user_code import user_code
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
    module = _make(factory)
    if not isinstance(module, nn.Module):
        raise ModuleError(f"{factory} returned {type(module).__name__}, wanted a torch.nn.Module")
    with user_code(f"the module of {factory} cannot be made ready"):
        _check_kind(module, factory)
        module.cpu().float()
        load_weights(module, weights)
        module.eval()
        module.requires_grad_(False)
    return module


def _make(factory: str) -> object:
    module_name, _, attribute = factory.partition(":")
    if not module_name or not attribute:
        raise ModuleError(f"{factory!r} is no factory: write package.module:factory")
    with user_code(f"{module_name} cannot be imported"):
        module = importlib.import_module(module_name)
    with user_code(f"{factory}() failed"):
        try:
            make = reduce(getattr, attribute.split("."), module)
        except AttributeError:
            raise ModuleError(f"{module_name} ({module.__file__}) has no {attribute}") from None
        return make()  # type: ignore[operator]


def _check_kind(module: nn.Module, factory: str) -> None:
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        raise ModuleError(f"{factory} returned a TorchScript module: return the nn.Module that it was made from")
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if is_lazy(tensor):
            raise ModuleError(f"{factory}: {name} has no shape yet: give lazy layers their sizes, as in Linear(8, 64)")
        if tensor.is_meta:
            raise ModuleError(f"{factory}: {name} is on device meta, which holds no values: make the module on the CPU")
