"""What a run leaves behind: metrics, samples, events, checkpoints; and how it refuses and stops."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ganport_train.checkpoints import load_networks, read_state, whole
from ganport_train.config import TrainingConfig
from ganport_train.data import load_images
from ganport_train.errors import ConfigError, DataError, DivergedError
from ganport_train.evaluation import FrechetDistance
from ganport_train.grid import grid
from ganport_train.networks import generate
from ganport_train.observer import Observer
from ganport_train.randomness import draw_latents
from ganport_train.step import FIGURES, TrainingState, training_step
from ganport_train.trainer import train
from PIL import Image


class Listener(Observer):
    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.records: list[dict[str, Any]] = []
        self.checkpoints: list[str] = []

    def noted(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def stepped(self, record: Any) -> None:
        self.records.append(dict(record))

    def saved(self, checkpoint: Path, scores: Any) -> None:
        self.checkpoints.append(checkpoint.name)


def lines_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_metrics_have_a_line_for_every_step_and_every_evaluation(tiny: TrainingConfig, tmp_path: Path) -> None:
    listener = Listener()
    train(tiny, tmp_path / "run", observer=listener)
    lines = lines_of(tmp_path / "run")
    steps = [line for line in lines if "loss_generator" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4, 5, 6]
    assert all(line.keys() == {"step", *FIGURES, "images_per_second", "seconds"} for line in steps)
    assert all(abs(line["images_per_second"] * line["seconds"] - tiny.batch_size) < 0.1 for line in steps)
    evaluations = {line["step"]: line["frechet_distance"] for line in lines if "frechet_distance" in line}
    states = [read_state(folder) for folder in whole(tmp_path / "run")]
    assert evaluations == {state.step: state.scores["frechet_distance"] for state in states}
    assert listener.checkpoints == ["step-000003", "step-000006"]
    assert listener.records[-1] == steps[-1]
    saved = json.loads((tmp_path / "run/config.json").read_text())
    assert saved == {**tiny.to_json(), "channels": 3, "threads": 1}


def test_samples_are_what_the_averaged_generator_makes_of_fixed_latents(tiny: TrainingConfig, tmp_path: Path) -> None:
    train(tiny, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run/samples").iterdir()) == ["step-000003.png", "step-000006.png"]
    with Image.open(tmp_path / "run/samples/step-000006.png") as sample:
        shown = np.asarray(sample).astype(int)
    assert shown.shape == (8 * 16, 8 * 16, 3)
    generator = load_networks(tmp_path / "run", "last").generator
    images = generate(generator, draw_latents(tiny.seed, "samples", 0, 64, tiny.latent_dim))
    expected = np.asarray(grid(images.permute(0, 2, 3, 1).numpy()))
    assert np.abs(shown - expected).max() <= 1  # memory layout differs, so the last bit may


def test_the_score_is_that_of_the_averaged_generator_against_the_images(tiny: TrainingConfig, tmp_path: Path) -> None:
    train(tiny, tmp_path / "run")
    loaded = load_networks(tmp_path / "run", "last")
    images = torch.from_numpy(load_images(tiny.data, resolution=16).images).permute(0, 3, 1, 2)
    fake = generate(loaded.generator, draw_latents(tiny.seed, "evaluation", 0, 40, tiny.latent_dim))
    score = read_state(tmp_path / "run/last").scores["frechet_distance"]
    assert FrechetDistance(images)(fake) == pytest.approx(score, rel=1e-3)


def test_best_is_the_checkpoint_of_the_lowest_score(tiny: TrainingConfig, tmp_path: Path) -> None:
    config = dataclasses.replace(tiny, steps=24, checkpoint_every=4, learning_rate=0.02)
    result = train(config, tmp_path / "run")
    scores = {folder.name: read_state(folder).scores["frechet_distance"] for folder in whole(tmp_path / "run")}
    assert len(set(scores.values())) > 1
    assert result.best == min(scores, key=scores.__getitem__)
    assert (tmp_path / "run/best").readlink() == Path("checkpoints") / result.best
    assert (tmp_path / "run/last").readlink() == Path("checkpoints/step-000024")


def test_events_hold_the_same_figures(tiny: TrainingConfig, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    train(dataclasses.replace(tiny, steps=3), tmp_path / "run")
    train(tiny, tmp_path / "run", resume=True)
    events = accumulator.EventAccumulator(str(tmp_path / "run/tensorboard")).Reload()
    logged = {event.step: event.value for event in events.Scalars("loss_generator")}
    lines = {line["step"]: line["loss_generator"] for line in lines_of(tmp_path / "run") if "loss_generator" in line}
    assert logged == pytest.approx(lines)
    assert sorted(event.step for event in events.Scalars("frechet_distance")) == [3, 6]


def test_without_tensorboard_a_run_says_once_that_there_are_no_events(
    tiny: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    listener = Listener()
    train(tiny, tmp_path / "run", observer=listener)
    assert [sentence for sentence in listener.sentences if "TensorBoard" in sentence] == listener.sentences
    assert len(listener.sentences) == 1
    assert not (tmp_path / "run/tensorboard").exists()
    assert len(lines_of(tmp_path / "run")) == 8


def spoil_weights_before(step: int, state: TrainingState) -> None:
    """What an update that overflows does to the generator."""
    if state.step == step - 1:
        torch.nn.init.constant_(state.generator.to_image.weight, float("nan"))


def test_a_loss_that_is_no_number_stops_the_run_and_says_what_to_try(
    tiny: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflowing(state: TrainingState, *rest: Any) -> torch.Tensor:
        spoil_weights_before(5, state)
        return training_step(state, *rest)

    monkeypatch.setattr("ganport_train.trainer.training_step", overflowing)
    advice = r"is nan at step 5, .*step-000003 are kept.* with a --penalty below 20, a --learning-rate below 0\.0005"
    tiny = dataclasses.replace(tiny, penalty=20.0)
    with pytest.raises(DivergedError, match=advice):
        train(tiny, tmp_path / "run")
    assert [line["step"] for line in lines_of(tmp_path / "run")] == [1, 2, 3, 3, 4]
    assert [folder.name for folder in whole(tmp_path / "run")] == ["step-000003"]
    monkeypatch.undo()
    assert train(tiny, tmp_path / "run", resume=True).step == 6


def test_weights_that_are_no_numbers_are_never_saved(tiny: TrainingConfig, tmp_path: Path) -> None:
    """The last step's loss is finite, its update is not."""
    train(dataclasses.replace(tiny, steps=3), tmp_path / "run")
    listener = Listener()

    def overflowing(state: TrainingState, *rest: Any) -> torch.Tensor:
        figures = training_step(state, *rest)
        spoil_weights_before(5, state)
        return figures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ganport_train.trainer.training_step", overflowing)
        with pytest.raises(DivergedError, match="checkpoints up to step-000003 are kept"):
            train(dataclasses.replace(tiny, steps=4), tmp_path / "run", resume=True, observer=listener)
    assert listener.checkpoints == []
    assert [folder.name for folder in whole(tmp_path / "run")] == ["step-000003"]
    assert (tmp_path / "run/last").readlink() == Path("checkpoints/step-000003")
    assert train(tiny, tmp_path / "run", resume=True).step == 6


@pytest.mark.parametrize(
    "settings", [{"width": 10**8}, {"latent_dim": 10**11}, {"width": 10**17}, {"latent_dim": 10**30}]
)
def test_networks_too_large_for_memory_end_in_one_line_and_leave_nothing(
    tiny: TrainingConfig, tmp_path: Path, settings: dict[str, int]
) -> None:
    with pytest.raises(ConfigError, match=r"--width \d+, --latent-dim \d+, .* need more memory .*: lower") as caught:
        train(dataclasses.replace(tiny, **settings), tmp_path / "run")  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("earlier_steps", [0, 3])
def test_a_step_too_large_for_memory_leaves_nothing_of_a_new_run_and_all_of_an_old_one(
    tiny: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, earlier_steps: int
) -> None:
    def refused(state: TrainingState, *rest: Any) -> torch.Tensor:
        return torch.empty(2**55)  # what PyTorch really says

    if earlier_steps:
        train(dataclasses.replace(tiny, steps=earlier_steps), tmp_path / "run")
    monkeypatch.setattr("ganport_train.trainer.training_step", refused)
    with pytest.raises(ConfigError, match="--batch-size 8 need more memory"):
        train(tiny, tmp_path / "run", resume=earlier_steps > 0)
    assert (tmp_path / "run").exists() == (earlier_steps > 0)
    monkeypatch.undo()
    assert train(tiny, tmp_path / "run", resume=earlier_steps > 0).step == 6


def test_too_few_images(tiny: TrainingConfig, tmp_path: Path) -> None:
    one = np.zeros((1, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "one.npz", images=one)
    with pytest.raises(DataError, match=r"one\.npz: holds one image"):
        train(dataclasses.replace(tiny, data=str(tmp_path / "one.npz")), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"--batch-size 64 is more than the 40 images .* use --batch-size 40 or less"):
        train(dataclasses.replace(tiny, batch_size=64), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_was_left_out_of_the_data_is_said(tiny: TrainingConfig, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(8):
        Image.new("RGB", (16, 16), (index, 0, 0)).save(folder / f"{index}.png")
    (folder / "bad.png").write_bytes(b"x")
    listener = Listener()
    train(dataclasses.replace(tiny, data=str(folder), skip_bad=True, steps=1), tmp_path / "run", observer=listener)
    assert "1 unreadable images were skipped: bad.png" in listener.sentences


def test_the_number_of_threads_is_as_asked_and_put_back(tiny: TrainingConfig, tmp_path: Path) -> None:
    seen = []

    class Counter(Observer):
        def should_stop(self) -> bool:
            seen.append(torch.get_num_threads())
            return False

    torch.set_num_threads(2)
    train(dataclasses.replace(tiny, threads=1, steps=1), tmp_path / "run", observer=Counter())
    assert seen == [1]
    assert torch.get_num_threads() == 2
