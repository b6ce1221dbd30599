"""Every setting of a training run: one frozen value, checked as a whole, and the presets that it starts from."""

import dataclasses
import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from ganport_train.errors import ConfigError

RESOLUTIONS = (16, 32, 64, 128, 256)


def added(default: Any, *, before: Any) -> Any:
    """The default of a new setting, and `before`: what versions of ganport without the setting did."""
    return dataclasses.field(default=default, metadata={"before": before})


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The settings of one run, checked here: `ConfigError`. Declare a new one with `added`, so that older runs load."""

    data: str  # a source of images: digits, a folder, a .zip, an .npz
    preset: str = "rpgan"  # the name that the other settings started from
    resolution: int = 64  # height and width of the images in pixels
    channels: int | None = None  # 1 gray, 3 color, None: as in the source
    background: str = "white"  # color that shows through transparent pixels
    skip_bad: bool = False  # leave unreadable images out instead of stopping
    width: int = 64  # channels of the largest feature map
    kernel: int = 4  # height and width of every convolution's kernel
    latent_dim: int = 100
    activation: Literal["relu", "leaky_relu"] = "relu"  # the generator's; the discriminator's is LeakyReLU 0.2
    discriminator_batch_norm: bool = False
    initialization: Literal["normal", "he"] = "normal"
    loss: Literal["relativistic", "non_saturating", "minimax"] = "relativistic"
    penalty: float = 10.0  # gamma of the gradient penalties R1 and R2; 0: none
    learning_rate: float = 5e-4
    beta1: float = 0.0
    beta2: float = 0.99
    ema_decay: float = 0.995  # of the generator's averaged weights, per step
    batch_size: int = 64
    steps: int = 10_000
    seed: int = 0
    checkpoint_every: int = 500  # steps
    sample_every: int = 250  # steps
    threads: int | None = None  # CPU threads; None: PyTorch's choice for this machine

    def __post_init__(self) -> None:
        _check_types(self)
        _check_ranges(self)

    def to_json(self) -> dict[str, Any]:
        """Every setting by name, ready for `json.dumps`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The settings that `to_json` wrote, in this version or an earlier one."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(document) - known):
            raise ConfigError(f"unknown settings {', '.join(unknown)}: they belong to another version of ganport")
        before = cls._before()
        if missing := sorted(known - before.keys() - document.keys()):
            raise ConfigError(f"settings {', '.join(missing)} are missing: the file is incomplete")
        return cls(**{**before, **document})

    def digest(self) -> str:
        """SHA-256 of the settings that decide what a step computes; runs that share it can continue each other.

        A setting that was added later does not count at the value for older runs, whose digest did not have it.
        """
        settings = dict(item for item in self.to_json().items() if item not in self._before().items())
        settings = {name: value for name, value in settings.items() if name not in MAY_CHANGE}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    @classmethod
    def _before(cls) -> dict[str, Any]:
        """Settings that were added later, with their value for older runs."""
        return {f.name: f.metadata["before"] for f in dataclasses.fields(cls) if "before" in f.metadata}


# Settings that a resumed run may change: none alters what a step computes. `data` is where the images lie;
# that they are the same images is checked by their own digest.
MAY_CHANGE = frozenset({"data", "steps", "checkpoint_every", "sample_every", "threads"})

RADFORD = {  # Radford et al. 2015
    "discriminator_batch_norm": True,
    "loss": "non_saturating",
    "penalty": 0.0,
    "learning_rate": 2e-4,
    "beta1": 0.5,
    "beta2": 0.999,
    "batch_size": 128,
}
PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Huang et al. 2024 (R3GAN): relativistic pairing with R1 and R2, on DCGAN networks without norm in D
    "rpgan": {},
    "dcgan": RADFORD,
    # The article that this project started from: docs/article.md
    "article": {**RADFORD, "kernel": 5, "activation": "leaky_relu", "batch_size": 32},
}


def preset(name: str, data: str, **settings: Any) -> TrainingConfig:
    """The settings of a preset with some set otherwise; `ConfigError` where one is unknown or cannot be."""
    if name not in PRESETS:
        raise ConfigError(f"no preset is called {name!r}: choose one of {', '.join(PRESETS)}")
    if unknown := sorted(set(settings) - {field.name for field in dataclasses.fields(TrainingConfig)}):
        raise ConfigError(f"unknown settings: {', '.join(unknown)}")
    return TrainingConfig(data=data, preset=name, **{**PRESETS[name], **settings})


def choices(name: str) -> tuple[str, ...]:
    """The words that a setting may be."""
    return typing.get_args(typing.get_type_hints(TrainingConfig)[name])


def option(name: str) -> str:
    """A setting as the command line spells it."""
    return "--" + name.replace("_", "-")


def _check_types(config: TrainingConfig) -> None:
    """Values come from JSON files and callers' code: a text where a number belongs must not get far."""
    for name, wanted in typing.get_type_hints(type(config)).items():
        value = getattr(config, name)
        if typing.get_origin(wanted) is Literal:
            if value not in typing.get_args(wanted):
                raise ConfigError(f"{option(name)} {value!r} is none of {', '.join(typing.get_args(wanted))}")
            continue
        kinds = typing.get_args(wanted) if isinstance(wanted, types.UnionType) else (wanted,)
        if not (type(value) in kinds or (float in kinds and type(value) is int)):
            raise ConfigError(f"{option(name)} {value!r} is of type {type(value).__name__}, not {kinds[0].__name__}")


def _check_ranges(config: TrainingConfig) -> None:
    if config.preset not in PRESETS:
        raise ConfigError(f"no preset is called {config.preset!r}: choose one of {', '.join(PRESETS)}")
    for name, wanted in (("resolution", RESOLUTIONS), ("channels", (1, 3)), ("kernel", (4, 5))):
        if (value := getattr(config, name)) not in (*wanted, *((None,) if name == "channels" else ())):
            raise ConfigError(f"{option(name)} {value} is none of {', '.join(map(str, wanted))}")
    for name in ("width", "latent_dim", "batch_size", "steps", "checkpoint_every", "sample_every", "threads"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise ConfigError(f"{option(name)} {value} is too small: 1 or more")
    if not 0 <= config.seed < 2**63:
        raise ConfigError(f"{option('seed')} {config.seed} is out of range: 0 to 2**63 - 1")
    if not 0 < config.learning_rate < float("inf"):
        raise ConfigError(f"{option('learning_rate')} {config.learning_rate} is out of range: above 0, and finite")
    if not 0 <= config.penalty < float("inf"):
        raise ConfigError(f"{option('penalty')} {config.penalty} is out of range: 0 (none) or more, and finite")
    for name in ("beta1", "beta2", "ema_decay"):
        if not 0 <= getattr(config, name) < 1:
            raise ConfigError(f"{option(name)} {getattr(config, name)} is out of range: 0 or more, below 1")
    if config.discriminator_batch_norm and config.penalty > 0:
        raise ConfigError(
            f"--penalty {config.penalty:g} with batch norm in the discriminator (preset {config.preset}) is "
            "ill-defined: the penalty is on each image's own gradient, and batch norm mixes the images of a batch; "
            "use --penalty 0, or --preset rpgan, which has no norm there"
        )
    if config.batch_size == 1:
        raise ConfigError("--batch-size 1 is too small: batch norm needs 2 or more images a batch")
