"""Fills a module with the tensors of a safetensors file: all of them, each where it belongs, or one line why not."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ganport_export.errors import ModuleError

__all__ = ["load_weights"]

PICKLES = frozenset({".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".tar"})
SHOWN = 5  # names of tensors in one message


def load_weights(module: nn.Module, path: Path) -> None:
    """Copy every tensor of a safetensors file into `module`.

    Raises:
        ModuleError: no such file, a pickle, a damaged file, NaN, infinity or 8-bit floats in it, or tensors that the
            module lacks, has besides, or holds in another shape or kind of number.
    """
    saved = _read(path)
    _check_finite(saved, path)
    own = module.state_dict()
    shared = _shared_names(own)
    problems = [
        *_list("missing", (name for name in own if name not in saved and not shared[name] & saved.keys())),
        *_list("unknown to the module", (name for name in saved if name not in own)),
        *_list("of another shape", _misfits(own, saved)),
        *_list("of another kind", _other_kinds(own, saved)),
    ]
    if problems:
        raise ModuleError(f"{path} does not fit the module: {'; '.join(problems)}")
    module.load_state_dict(saved, strict=False)  # not strict: of tied tensors the file holds one name only


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModuleError(f"{path}: {'a directory' if path.is_dir() else 'no such file'}; give a .safetensors file")
    if path.suffix.lower() in PICKLES:
        raise ModuleError(
            f"{path} is a pickle, which can run any code when it is read. Convert it where you trust it: "
            f"safetensors.torch.save_file(torch.load({path.name!r}, weights_only=True), {path.stem + '.safetensors'!r})"
        )
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise ModuleError(f"{path} cannot be read as safetensors: {error}") from None


def _check_finite(saved: dict[str, Tensor], path: Path) -> None:
    floats = {name: tensor for name, tensor in saved.items() if tensor.is_floating_point() or tensor.is_complex()}
    tiny = [f"{name} ({tensor.dtype})" for name, tensor in floats.items() if torch.finfo(tensor.dtype).bits < 16]
    if tiny:  # they mean nothing without their scales, which a plain module knows nothing of
        raise ModuleError(f"{path} holds floats of under 16 bits in {_shorten(tiny)}: save them as float32")
    bad = [name for name, tensor in floats.items() if not tensor.isfinite().all()]
    if bad:
        raise ModuleError(f"{path} holds NaN or infinity in {_shorten(bad)}")


def _shared_names(own: dict[str, Tensor]) -> dict[str, set[str]]:
    """For each tensor the other names of the same memory: safetensors keeps one name of tied tensors."""
    names_at: dict[object, set[str]] = {}
    places = {name: (tensor.data_ptr(), tensor.shape) if tensor.numel() else name for name, tensor in own.items()}
    for name, place in places.items():
        names_at.setdefault(place, set()).add(name)
    return {name: names_at[place] - {name} for name, place in places.items()}


def _misfits(own: dict[str, Tensor], saved: dict[str, Tensor]) -> Iterable[str]:
    for name in own.keys() & saved.keys():
        if own[name].shape != saved[name].shape:
            yield f"{name} {list(saved[name].shape)} where {list(own[name].shape)} is wanted"


def _other_kinds(own: dict[str, Tensor], saved: dict[str, Tensor]) -> Iterable[str]:
    """Numbers that copying would cut off without a word, such as the imaginary part of a complex one."""
    for name in own.keys() & saved.keys():
        if not _keeps_values(saved[name], own[name].dtype):
            yield f"{name} {saved[name].dtype} where {own[name].dtype} is wanted"


def _keeps_values(tensor: Tensor, dtype: torch.dtype) -> bool:
    if torch.can_cast(tensor.dtype, dtype):
        return True
    return not tensor.is_complex() and torch.equal(tensor.to(dtype).to(tensor.dtype), tensor)


def _list(what: str, names: Iterable[str]) -> list[str]:
    found = sorted(names)
    return [f"{what}: {_shorten(found)}"] if found else []


def _shorten(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
