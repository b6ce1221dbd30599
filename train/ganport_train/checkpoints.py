"""Checkpoints: folders of safetensors and a state.json that appear whole or not at all. No pickle, ever."""

import dataclasses
import filecmp
import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch
from ganport_runtime import atomic
from torch import Tensor, nn

from ganport_train.config import TrainingConfig
from ganport_train.errors import CheckpointError, ConfigError, DivergedError
from ganport_train.networks import DcganDiscriminator, DcganGenerator
from ganport_train.step import TrainingState, build_networks

FORMAT = 1
SCORE = "frechet_distance"  # lower is better
REMEDY = "restore it, or delete its checkpoint's folder to go on from the one before"


@dataclass(frozen=True)
class CheckpointState:
    """What state.json says of a checkpoint."""

    step: int
    scores: Mapping[str, float]
    config_digest: str
    data_digest: str
    versions: Mapping[str, str]
    format: int = FORMAT
    files: Mapping[str, str] | None = None  # SHA-256 by file name; None: written before digests were recorded


def read_state(folder: Path) -> CheckpointState:
    """The state.json of a checkpoint; raises `CheckpointError` where it is damaged."""
    path = folder / "state.json"
    document = read_json(path, REMEDY)
    if document.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format {document.get('format')} is not {FORMAT}: use the ganport that wrote it")
    names = {field.name for field in dataclasses.fields(CheckpointState)}
    if document.keys() | {"files"} != names:
        raise CheckpointError(f"{path}: is no state of a checkpoint: {REMEDY}")
    if wrong := [name for name, value in document.items() if not _fits(name, value)]:
        raise CheckpointError(f"{path}: {', '.join(wrong)} cannot be what a checkpoint has there: {REMEDY}")
    return CheckpointState(**document)


def _fits(name: str, value: Any) -> bool:
    if name in ("step", "format"):
        return type(value) is int and value >= 0
    if name in ("config_digest", "data_digest"):
        return isinstance(value, str)
    if name == "scores":
        return isinstance(value, dict) and SCORE in value and all(map(_is_finite, value.values()))
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())  # versions, files


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON object in a file; raises `CheckpointError`, which ends with `remedy`."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}): {remedy}") from None
    if not isinstance(document, dict):
        raise CheckpointError(f"{path}: holds no JSON object: {remedy}")
    return document


@dataclass(frozen=True)
class LoadedNetworks:
    """Trained networks in eval mode on the CPU; the discriminator is always the live one."""

    generator: DcganGenerator
    discriminator: DcganDiscriminator
    config: TrainingConfig
    step: int
    data_digest: str


def folder_of(run: Path, step: int) -> Path:
    """Where the checkpoint of `step` lies."""
    return run / "checkpoints" / f"step-{step:06d}"


def whole(run: Path) -> list[Path]:
    """The folders of all whole checkpoints, earliest first."""
    folders = [folder for folder in (run / "checkpoints").glob("step-*") if folder.name[5:].isdecimal()]
    return sorted(folders, key=lambda folder: int(folder.name[5:]))


def check_finite(state: TrainingState) -> None:
    """Raise `DivergedError` if a tensor that `save` would write is not finite."""
    for file, tensors in _tensors(state).items():
        for name, tensor in tensors.items():
            if not torch.isfinite(tensor).all():
                raise DivergedError(f"{file} {name} holds NaN or infinity after step {state.step}")


def save(run: Path, state: TrainingState, described: CheckpointState) -> Path:
    """Write a checkpoint and point `best` and `last` at the right ones; state.json gets the SHA-256 of every file."""
    folder = folder_of(run, described.step)
    with atomic.new_folder(folder) as partial:
        digests = {}
        for name, tensors in _tensors(state).items():
            content = safetensors.torch.save(tensors)
            digests[f"{name}.safetensors"] = hashlib.sha256(content).hexdigest()
            atomic.write_bytes(partial / f"{name}.safetensors", content)
        atomic.write_json(partial / "state.json", dataclasses.asdict(described) | {"files": digests})
    if (run / "best").is_symlink() and (run / "best").is_dir():  # it has the lowest score so far: read no other
        if described.scores[SCORE] < read_state(run / "best").scores[SCORE]:
            _point(run, "best", folder)
        _point(run, "last", folder)
    else:
        link(run)
    return folder


def link(run: Path) -> None:
    """Point `last` at the latest whole checkpoint and `best` at the one of the lowest score; reads every state."""
    folders = whole(run)
    if folders:
        best = min(folders, key=lambda folder: read_state(folder).scores[SCORE])
        _point(run, "best", best)
        _point(run, "last", folders[-1])


def _point(run: Path, name: str, folder: Path) -> None:
    """Make `name` a link to `folder`, with no moment at which it points nowhere; a copy in its place is deleted."""
    link, partial, copy = run / name, run / f".{name}.link.partial", run / f".{name}.copy.partial"
    partial.unlink(missing_ok=True)
    partial.symlink_to(os.path.relpath(folder, run))
    if link.is_dir() and not link.is_symlink():
        _check_copy(run, link)
        link.replace(copy)
    partial.replace(link)
    if copy.is_dir():
        shutil.rmtree(copy)


def _check_copy(run: Path, folder: Path) -> None:
    """Raise unless `folder` copies a checkpoint, as after a copy of the run that followed links."""
    names = sorted(path.name for path in folder.iterdir())
    original = folder_of(run, read_state(folder).step) if "state.json" in names else run
    same, _, _ = filecmp.cmpfiles(folder, original, names, shallow=False)
    if sorted(same) != names:
        raise CheckpointError(f"{folder}: is a folder that copies none of the checkpoints: move it out of the run")


def restore(folder: Path, state: TrainingState) -> CheckpointState:
    """Fill `state` with what `save` wrote."""
    described = read_state(folder)
    state.step = described.step
    for name, module in _modules(state).items():
        _load_module(module, folder / f"{name}.safetensors", described)
    for name, network, optimizer in _optimizers(state):
        _load_optimizer(optimizer, network, folder / f"optimizer-{name}.safetensors", described)
    return described


def load_networks(run: Path, checkpoint: str = "best", weights: Literal["ema", "raw"] = "ema") -> LoadedNetworks:
    """The networks of a run; `CheckpointError` where there are none, or damaged ones.

    `checkpoint` is "best", "last" or a folder's name, such as "step-000500"; `weights` "ema" are the generator's
    averaged ones, "raw" those that training goes on with.
    """
    config = read_config(run)
    if weights not in ("ema", "raw"):
        raise CheckpointError(f"weights {weights!r} are none of ema, raw")
    folder = _find(run, checkpoint)
    described = read_state(folder)
    if described.config_digest != config.digest():
        raise CheckpointError(f"{run}: config.json is not the one that {folder.name} was trained with")
    generator, discriminator = build_networks(config)
    _load_module(generator, folder / ("ema.safetensors" if weights == "ema" else "generator.safetensors"), described)
    _load_module(discriminator, folder / "discriminator.safetensors", described)
    return LoadedNetworks(generator.eval(), discriminator.eval(), config, described.step, described.data_digest)


def _find(run: Path, checkpoint: str) -> Path:
    names = [folder.name for folder in whole(run)]
    if not names:
        raise CheckpointError(f"{run}: no checkpoint has been saved yet: train on with --resume")
    if checkpoint not in ("best", "last", *names):
        wanted = f"choose best, last or one of {', '.join(names)}"
        raise CheckpointError(f"{run}: has no checkpoint {checkpoint!r}: {wanted}")
    return run / checkpoint if checkpoint in ("best", "last") else run / "checkpoints" / checkpoint


def read_config(run: Path) -> TrainingConfig:
    """The settings that a run was started with."""
    path = run / "config.json"
    if not path.exists():
        raise CheckpointError(f"{run}: holds no run (it has no config.json)")
    try:
        return TrainingConfig.from_json(read_json(path, "restore it from a copy"))
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _modules(state: TrainingState) -> dict[str, nn.Module]:
    return {"generator": state.generator, "discriminator": state.discriminator, "ema": state.averaged}


def _optimizers(state: TrainingState) -> list[tuple[str, nn.Module, torch.optim.Optimizer]]:
    return [
        ("generator", state.generator, state.generator_optimizer),
        ("discriminator", state.discriminator, state.discriminator_optimizer),
    ]


def _tensors(state: TrainingState) -> dict[str, dict[str, Tensor]]:
    tensors = {name: _contiguous(module.state_dict()) for name, module in _modules(state).items()}
    moments = {f"optimizer-{name}": _moments(network, optimizer) for name, network, optimizer in _optimizers(state)}
    return tensors | moments


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().contiguous() for name, tensor in tensors.items()}


def _moments(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's moments and step counts by the parameter's name."""
    named = list(network.named_parameters())
    return _contiguous({f"{name}.{key}": tensor for name, one in named for key, tensor in optimizer.state[one].items()})


def _load_module(module: nn.Module, path: Path, described: CheckpointState) -> None:
    _copy(module.state_dict(), _read_tensors(path, described), path)


def _load_optimizer(
    optimizer: torch.optim.Optimizer, network: nn.Module, path: Path, described: CheckpointState
) -> None:
    saved = _read_tensors(path, described)
    for name, parameter in network.named_parameters():
        # laid out in memory like the parameter, as Adam itself would have it
        state = {key: torch.empty_like(parameter, requires_grad=False) for key in ("exp_avg", "exp_avg_sq")}
        state["step"] = torch.zeros(())
        _copy(state, {key: saved.pop(f"{name}.{key}", torch.empty(0)) for key in state}, path)
        optimizer.state[parameter] = state
    if saved:
        raise CheckpointError(f"{path}: holds tensors of another network ({next(iter(saved))})")


@torch.no_grad()
def _copy(into: Mapping[str, Tensor], saved: Mapping[str, Tensor], path: Path) -> None:
    for name in into.keys() | saved.keys():
        if name not in into or name not in saved or into[name].shape != saved[name].shape:
            raise CheckpointError(f"{path}: {name} does not fit the network of config.json")
        into[name].copy_(saved[name])


def _read_tensors(path: Path, described: CheckpointState) -> dict[str, Tensor]:
    try:
        content = path.read_bytes()
        if described.files is not None and hashlib.sha256(content).hexdigest() != described.files.get(path.name):
            raise CheckpointError(f"{path}: is altered or damaged (its SHA-256 is not that of state.json): {REMEDY}")
        return safetensors.torch.load(content)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}): {REMEDY}") from None
