"""A user's own network: made by its factory, filled with weights, and run on a few latents before it is traced."""

import importlib
from collections.abc import Iterable, Sequence
from functools import reduce
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from ganport_runtime.manifest import ImageInfo
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from ganport_export.errors import ModuleError, user_code
from ganport_export.inputs import MODULE_CHECK_SEED, Feed, GeneratorInputs, first_rows
from ganport_export.reference import in_float64, values_of


def load_module(factory: str, weights: Path) -> nn.Module:
    """The module that a factory makes, filled with weights: float32, in eval mode, on the CPU, without gradients."""
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


CHANNELS = (1, 3)
LATENTS = 3
TOLERANCE = 1e-6  # of values in [-1, 1]: nothing beside a pixel step, and far above float64's rounding
PICKLES = frozenset({".pt", ".pth", ".ckpt", ".bin", ".pkl", ".pickle", ".tar"})
SHOWN = 5  # names of tensors in one message


def load_weights(module: nn.Module, path: Path) -> None:
    """Copy every tensor of a safetensors file into `module`."""
    saved = _read_weights(path)
    _check_weights(saved, path)
    own = module.state_dict()
    shared = _shared_names(own)
    problems = [
        *_named("missing", (name for name in own if name not in saved and not shared[name] & saved.keys())),
        *_named("unknown to the module", (name for name in saved if name not in own)),
        *_named("of another shape", _misfits(own, saved)),
        *_named("of another kind", _other_kinds(own, saved)),
    ]
    if problems:
        raise ModuleError(f"{path} does not fit the module: {'; '.join(problems)}")
    module.load_state_dict(saved, strict=False)  # not strict: of tied tensors the file holds one name only


def _read_weights(path: Path) -> dict[str, Tensor]:
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


def _check_weights(saved: dict[str, Tensor], path: Path) -> None:
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


def _named(what: str, names: Iterable[str]) -> list[str]:
    found = sorted(names)
    return [f"{what}: {_shorten(found)}"] if found else []


def _shorten(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def check_module(module: nn.Module, inputs: GeneratorInputs, image_size: int) -> ImageInfo:
    """Run `module` on three latents and return the images' sizes."""
    feed = inputs.draw(MODULE_CHECK_SEED, LATENTS)
    shapes = ", ".join(f"float32 {list(array.shape)}" for array in feed.values())
    with user_code(f"the network fails on latents {shapes}", "is the latent size right?"), torch.no_grad():
        images = module(*(torch.from_numpy(array).clone() for array in feed.values()))  # some change them in place
    if not isinstance(images, Tensor):
        raise ModuleError(f"the network returns {type(images).__name__}, wanted one tensor of images")
    shape = list(images.shape)
    if shape[:1] + shape[2:] != [LATENTS, image_size, image_size] or shape[1] not in CHANNELS:
        wanted = f"[{LATENTS}, 1 or 3, {image_size}, {image_size}]"
        raise ModuleError(
            f"the network returns {shape} for {LATENTS} latents, wanted {wanted}: is the image size right?"
        )
    if images.dtype != torch.float32:
        raise ModuleError(f"the network returns {images.dtype}, wanted torch.float32")
    _check_alone(module, feed)
    return ImageInfo(height=image_size, width=image_size, channels=shape[1])


def _check_alone(module: nn.Module, feed: Feed) -> None:
    """See in float64, where rounding is far below what would matter, that an image depends on its latent alone."""
    with in_float64(module):
        images, again, first = (values_of(module, each) for each in (feed, feed, first_rows(feed, 1)))
    if not torch.allclose(images, again, rtol=0, atol=TOLERANCE, equal_nan=True):
        raise ModuleError(
            "the network draws random numbers: two calls with one latent differ; use fixed noise in eval mode"
        )
    if not torch.allclose(images[:1], first, rtol=0, atol=TOLERANCE, equal_nan=True):
        raise ModuleError("an image changes with the other latents of its batch; use statistics kept from training")
