"""A run directory: what is checked before a run, started once, resumed with the same settings, never mixed."""

import dataclasses
import fcntl
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from ganport_runtime import atomic

from ganport_train import checkpoints
from ganport_train.checkpoints import CheckpointState
from ganport_train.config import MAY_CHANGE, TrainingConfig, option
from ganport_train.data import ImageSet, load_images
from ganport_train.errors import CheckpointError, ConfigError, DataError

# What a run killed before its settings were written may have left.
BEFORE_SETTINGS = (".lock", ".config.json.*partial", "checkpoints", "samples")


@contextmanager
def claim(run: Path) -> Iterator[None]:
    """Lock `run` for this process, or `CheckpointError`; the system releases the lock even of a killed process."""
    run.mkdir(parents=True, exist_ok=True)
    with (run / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError(f"{run}: another process is training there: wait for it, or stop it") from None
        yield


def prepare(config: TrainingConfig, out: Path, *, resume: bool) -> tuple[TrainingConfig, ImageSet]:
    """Do every check of a run, write nothing, and return the effective settings and the images; errors as `train`."""
    if not resume:
        check_vacant(out)
    images = _training_images(config)
    threads = config.threads or torch.get_num_threads()
    config = dataclasses.replace(config, channels=images.images.shape[3], threads=threads)
    if resume:
        last_checkpoint(out, config, images.digest)
    return config, images


def _training_images(config: TrainingConfig) -> ImageSet:
    """The images of `config.data`, checked to be enough for a batch."""
    images = load_images(
        config.data,
        resolution=config.resolution,
        channels=config.channels,
        background=config.background,
        skip_bad=config.skip_bad,
    )
    if len(images) < 2:
        raise DataError(f"{config.data}: holds one image: training needs at least 2, and good results some thousands")
    if len(images) < config.batch_size:
        raise ConfigError(
            f"--batch-size {config.batch_size} is more than the {len(images)} images of {config.data}: "
            f"use --batch-size {len(images)} or less, or more images"
        )
    return images


def start(run: Path, config: TrainingConfig) -> None:
    """Make the directory of a new run and write its config.json."""
    check_vacant(run)
    for folder in (run / "checkpoints", run / "samples"):
        folder.mkdir(exist_ok=True)
    atomic.write_json(run / "config.json", config.to_json())


def abandon(run: Path) -> None:
    """Remove a run that made no step and all that it wrote, so that another can start there."""
    _remove(run.iterdir())
    if not run.is_symlink():
        run.rmdir()


def check_vacant(run: Path) -> None:
    """Raise `CheckpointError` unless a new run can start in `run`."""
    if (run / "config.json").exists():
        raise CheckpointError(f"{run}: holds a run already: add --resume to go on with it, or name another --out")
    if run.exists() and not run.is_dir():
        raise CheckpointError(f"{run}: is a file: name a folder as --out")
    if run.is_dir() and not all(any(map(path.match, BEFORE_SETTINGS)) for path in run.iterdir()):
        raise CheckpointError(f"{run}: is a folder with other things in it: name a new or empty one as --out")


def last_checkpoint(run: Path, config: TrainingConfig, data_digest: str) -> Path | None:
    """The folder that a run resumed with these settings and images goes on from; None before its first checkpoint.

    `CheckpointError` where the run or its last checkpoint is damaged, or of other images; `ConfigError` where a setting
    differs that may not.
    """
    _check_same_settings(checkpoints.read_config(run), config)
    folders = checkpoints.whole(run)
    if not folders:
        return None
    _check_continues(folders[-1], checkpoints.read_state(folders[-1]), config, data_digest)
    return folders[-1]


def make_ready(run: Path, config: TrainingConfig) -> None:
    """Remove leftovers of a killed process, set `best` and `last` right, bring config.json up to date."""
    for folder in (run / "checkpoints", run / "samples"):
        folder.mkdir(exist_ok=True)
    for folder in (run, run / "checkpoints", run / "samples"):
        _remove(folder.glob(".*.partial"))  # `claim` keeps out those that still write
    checkpoints.link(run)
    atomic.write_json(run / "config.json", config.to_json())


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _check_same_settings(saved: TrainingConfig, config: TrainingConfig) -> None:
    changed = [
        f"{option(field.name)} {getattr(saved, field.name)} to {getattr(config, field.name)}"
        for field in dataclasses.fields(saved)
        if field.name not in MAY_CHANGE and getattr(saved, field.name) != getattr(config, field.name)
    ]
    if changed:
        raise ConfigError(
            f"a resumed run keeps its settings, but this changes {', '.join(changed)}: "
            f"leave them out, or start another run; {', '.join(map(option, sorted(MAY_CHANGE)))} may change"
        )


def _check_continues(folder: Path, saved: CheckpointState, config: TrainingConfig, data_digest: str) -> None:
    if saved.config_digest != config.digest():
        raise CheckpointError(f"{folder}: was trained with other settings than config.json holds: restore that file")
    if saved.data_digest != data_digest:
        raise CheckpointError(f"{folder}: was trained on other images than {config.data} holds: name the same ones")
    if saved.step > config.steps:
        raise ConfigError(
            f"--steps {config.steps} is behind the run, which has reached step {saved.step}: ask for more"
        )
