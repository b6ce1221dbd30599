"""Settings: presets, what is refused, and the way through JSON."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from ganport_train.config import PRESETS, TrainingConfig, added, choices, preset
from ganport_train.errors import ConfigError
from ganport_train.losses import LOSSES
from hypothesis import given
from hypothesis import strategies as st


def test_every_loss_can_be_chosen() -> None:
    assert choices("loss") == tuple(LOSSES)


@pytest.mark.parametrize("name", PRESETS)
def test_settings_survive_json(name: str) -> None:
    config = preset(name, "digits", seed=7, channels=3, threads=2)
    assert TrainingConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resolution": 48}, "--resolution 48 is none of 16, 32, 64, 128, 256"),
        ({"kernel": 3}, "--kernel 3 is none of 4, 5"),
        ({"channels": 4}, "--channels 4 is none of 1, 3"),
        ({"width": 0}, "--width 0 is too small"),
        ({"latent_dim": -1}, "--latent-dim -1 is too small"),
        ({"batch_size": 1}, "--batch-size 1 is too small"),
        ({"steps": 0}, "--steps 0 is too small"),
        ({"sample_every": -3}, "--sample-every -3 is too small"),
        ({"threads": 0}, "--threads 0 is too small"),
        ({"seed": -1}, "--seed -1 is out of range"),
        ({"seed": 2**63}, "--seed 9223372036854775808 is out of range"),
        ({"learning_rate": 0.0}, "--learning-rate 0.0 is out of range"),
        ({"learning_rate": float("nan")}, "--learning-rate nan is out of range"),
        ({"penalty": -1.0}, "--penalty -1.0 is out of range"),
        ({"penalty": float("inf")}, "--penalty inf is out of range"),
        ({"ema_decay": 1.0}, "--ema-decay 1.0 is out of range"),
        ({"loss": "wishful"}, "--loss 'wishful' is none of relativistic, non_saturating, minimax"),
        ({"steps": "10"}, "--steps '10' is of type str, not int"),
        ({"steps": True}, "--steps True is of type bool, not int"),
        ({"width": 32.5}, "--width 32.5 is of type float, not int"),
        ({"colour": 3}, "unknown settings: colour"),
        ({"name": "stylegan"}, "'stylegan': choose one of rpgan, dcgan, article"),
    ],
)
def test_what_cannot_be_is_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        preset(**{"name": "rpgan", "data": "digits", **settings})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["dcgan", "article"])
def test_batch_norm_in_the_discriminator_contradicts_a_gradient_penalty(name: str) -> None:
    with pytest.raises(ConfigError, match=r"ill-defined.*--penalty 0"):
        preset(name, "digits", penalty=1.0)


def test_unknown_and_missing_names_in_a_file_are_refused() -> None:
    document = TrainingConfig(data="digits").to_json()
    with pytest.raises(ConfigError, match="unknown settings colour"):
        TrainingConfig.from_json({**document, "colour": 1})
    del document["width"]
    with pytest.raises(ConfigError, match="settings width are missing"):
        TrainingConfig.from_json(document)


# As version 0.1 wrote it, and the digest that its checkpoints carry.
FIRST_VERSION = """{
  "data": "emoji.zip", "preset": "rpgan", "resolution": 16, "channels": 3, "background": "white", "skip_bad": false,
  "width": 4, "kernel": 4, "latent_dim": 100, "activation": "relu", "discriminator_batch_norm": false,
  "initialization": "normal", "loss": "relativistic", "penalty": 10.0, "learning_rate": 0.0005, "beta1": 0.0,
  "beta2": 0.99, "ema_decay": 0.995, "batch_size": 64, "steps": 10000, "seed": 0, "checkpoint_every": 500,
  "sample_every": 250, "threads": 1
}"""
FIRST_DIGEST = "f4b2bb2cdf4529901b9c8beb51136eab80a8491b5905308369ed02f359a72203"


@dataclass(frozen=True, kw_only=True)
class LaterConfig(TrainingConfig):
    """What a later version's settings may be: one more, whose default is not what runs of before did."""

    augment: Literal["none", "flip"] = added("flip", before="none")


def test_a_run_of_the_first_version_is_read_as_it_was() -> None:
    config = TrainingConfig.from_json(json.loads(FIRST_VERSION))
    assert (config.width, config.learning_rate, config.threads) == (4, 5e-4, 1)
    assert config.digest() == FIRST_DIGEST


def test_a_setting_added_later_has_for_older_runs_the_value_that_they_worked_by() -> None:
    older = LaterConfig.from_json(json.loads(FIRST_VERSION))
    assert older.augment == "none"
    assert older.digest() == FIRST_DIGEST
    newer = LaterConfig(data="emoji.zip")
    assert newer.augment == "flip"
    assert LaterConfig.from_json(newer.to_json()) == newer
    assert newer.digest() != dataclasses.replace(newer, augment="none").digest()
    with pytest.raises(ConfigError, match="--augment 'spin' is none of none, flip"):
        LaterConfig.from_json({**newer.to_json(), "augment": "spin"})
    with pytest.raises(ConfigError, match="unknown settings augment: they belong to another version"):
        TrainingConfig.from_json(newer.to_json())


@given(st.sampled_from([field.name for field in dataclasses.fields(TrainingConfig)]))
def test_the_digest_changes_with_what_a_step_computes_and_with_nothing_else(name: str) -> None:
    config = preset("rpgan", "digits", penalty=0.0, batch_size=8)
    other: dict[str, Any] = {"data": "x", "preset": "dcgan", "resolution": 32, "channels": 1, "background": "red"}
    other |= {"activation": "leaky_relu", "initialization": "he", "loss": "minimax", "kernel": 5, "threads": 3}
    other |= {"discriminator_batch_norm": True, "skip_bad": True}
    value = other.get(name, 0.25 if isinstance(getattr(config, name), float) else 11)
    changed = TrainingConfig.from_json({**config.to_json(), name: value})
    free = name in {"data", "steps", "checkpoint_every", "sample_every", "threads"}
    assert changed != config
    assert (changed.digest() == config.digest()) == free
