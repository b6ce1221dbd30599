from pathlib import Path

import pytest
import torch
from bare_loop import BLOCK_STEPS, BareLoop, TrainingTurns
from ganport_train.config import TrainingConfig, preset
from ganport_train.data import ImageSet, load_images
from ganport_train.step import initial_state, training_step
from overhead import training

TINY = {"resolution": 16, "width": 4, "batch_size": 8, "latent_dim": 5}


def test_both_sides_are_charged_for_their_own_steps_alone() -> None:
    """A fake trainer of 3 s a step, then 5, and a fake loop of 2 s: the first block of each side warms up."""
    now = [0.0]

    def take(seconds: float) -> None:
        now[0] += seconds

    turns = TrainingTurns(lambda _config, _images: lambda: take(2.0), rounds=3, steps=2, clock=lambda: now[0])
    turns.started(tiny_config(), digits(), 0)
    stops = []
    for step in range(8):
        take(100.0 if step < 2 else 3.0 if step < 4 else 5.0)
        stops.append(turns.should_stop())
    assert stops == [False] * 7 + [True]
    assert turns.seconds["ganport"].tolist() == [3.0, 5.0, 5.0]
    assert turns.seconds["bare"].tolist() == [2.0, 2.0, 2.0]


@pytest.mark.parametrize("settings", [{}, {"loss": "non_saturating", "penalty": 0.0}])
def test_the_bare_loop_does_the_same_arithmetic_as_the_trainer(settings: dict[str, float | str]) -> None:
    """Only then is its time worth comparing with."""
    config, images = tiny_config(**settings), digits()
    loop = BareLoop(config, images)
    torch.manual_seed(3)
    for _ in range(3):
        loop.step()

    state = initial_state(config)
    pixels = torch.from_numpy(images.images).permute(0, 3, 1, 2).float() / 127.5 - 1
    torch.manual_seed(3)
    for _ in range(3):
        real = pixels[torch.randint(len(pixels), (8,))]
        training_step(state, real, torch.randn(8, 5), config)
    for ours, theirs in ((loop._generator, state.generator), (loop._discriminator, state.discriminator)):
        for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    start = initial_state(config).averaged
    moved = [
        not torch.equal(one, other) for one, other in zip(loop._averaged.parameters(), start.parameters(), strict=True)
    ]
    assert all(moved)


def test_batch_norm_in_the_discriminator_is_refused() -> None:
    with pytest.raises(ValueError, match="no batch norm"):
        BareLoop(preset("dcgan", data="digits", channels=1, resolution=16, width=4), digits())


@pytest.mark.slow
def test_a_real_trainer_and_the_bare_loop_take_turns(tmp_path: Path) -> None:
    figure = training(tmp_path, 2, **TINY)
    assert figure.name == "train"
    assert figure.details["ganport_ms_a_step"] > 0  # type: ignore[operator]
    assert figure.details["bare_ms_a_step"] > 0  # type: ignore[operator]
    lines = (tmp_path / "run-of-turns" / "metrics.jsonl").read_text().splitlines()
    assert sum('"loss_generator"' in line for line in lines) == 3 * BLOCK_STEPS


def tiny_config(**settings: float | str) -> TrainingConfig:
    return preset("rpgan", data="digits", channels=1, **{**TINY, **settings})


def digits() -> ImageSet:
    return load_images("digits", resolution=16)
