"""A run that stops, however it stops, goes on as if it never had."""

import dataclasses
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ganport_train import checkpoints
from ganport_train.checkpoints import load_networks, whole
from ganport_train.config import TrainingConfig, added, preset
from ganport_train.errors import CheckpointError, ConfigError
from ganport_train.metrics import TIME_FIELDS
from ganport_train.observer import Observer
from ganport_train.run_directory import claim
from ganport_train.trainer import train
from safetensors.torch import load_file


def metrics_of(run: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name not in TIME_FIELDS} for line in lines]


def assert_same_run(run: Path, other: Path) -> None:
    assert [folder.name for folder in whole(run)] == [folder.name for folder in whole(other)]
    for folder in whole(run):
        for path in sorted(folder.glob("*.safetensors")):
            tensors, others = load_file(path), load_file(other / path.relative_to(run))
            assert tensors.keys() == others.keys()
            for name, tensor in tensors.items():
                assert torch.equal(tensor, others[name]), f"{path.name} {name}"
        assert (folder / "state.json").read_bytes() == (other / "checkpoints" / folder.name / "state.json").read_bytes()
    for sample in (run / "samples").glob("*.png"):
        assert sample.read_bytes() == (other / "samples" / sample.name).read_bytes()
    assert metrics_of(run) == metrics_of(other)
    for link in ("best", "last"):
        assert (run / link).readlink() == (other / link).readlink()


@pytest.mark.parametrize("name", ["rpgan", "dcgan"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tiny: TrainingConfig, tmp_path: Path, name: str) -> None:
    config = preset(name, tiny.data, **{k: getattr(tiny, k) for k in ("resolution", "width", "latent_dim", "threads")})
    config = dataclasses.replace(config, batch_size=8, steps=7, checkpoint_every=3, sample_every=2)
    train(config, tmp_path / "whole")
    train(dataclasses.replace(config, steps=3), tmp_path / "parts")
    train(dataclasses.replace(config, steps=6), tmp_path / "parts", resume=True)
    train(config, tmp_path / "parts", resume=True)
    shutil.rmtree(tmp_path / "parts" / "tensorboard")
    assert len(metrics_of(tmp_path / "whole")) == 7 + 3
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


SCRIPT = """
import json, sys
from pathlib import Path
from ganport_train.config import TrainingConfig
from ganport_train.trainer import train

config, out = TrainingConfig.from_json(json.loads(sys.argv[1])), Path(sys.argv[2])
train(config, out, resume=(out / "config.json").exists())
"""


def kill_while_it_trains(config: TrainingConfig, run: Path, seconds: float) -> None:
    """Train in a process of its own and SIGKILL it some time after its next checkpoint, whatever it does then."""
    before = len(whole(run))
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, json.dumps(config.to_json()), str(run)])
    deadline = time.monotonic() + 120
    while process.poll() is None and len(whole(run)) == before:
        assert time.monotonic() < deadline, "training did not begin"
        time.sleep(0.001)
    time.sleep(seconds)
    assert process.poll() is None, "it ended before it could be killed: raise the number of steps"
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_a_run_killed_at_any_moment_resumes_and_equals_an_uninterrupted_one(
    tiny: TrainingConfig, tmp_path: Path
) -> None:
    config = dataclasses.replace(tiny, steps=400, checkpoint_every=1, sample_every=5)  # nearly always writing
    run, moments = tmp_path / "killed", random.Random(5)
    for _ in range(3):
        kill_while_it_trains(config, run, moments.uniform(0, 0.4))
    reached = int(whole(run)[-1].name[5:])
    assert 3 <= reached < 400
    config = dataclasses.replace(config, steps=reached + 3)
    train(config, run, resume=True)
    train(config, tmp_path / "whole")
    assert_same_run(tmp_path / "whole", run)
    assert not list(run.rglob("*.partial"))


def test_a_run_without_a_checkpoint_yet_begins_anew_and_says_so(tiny: TrainingConfig, tmp_path: Path) -> None:
    sentences: list[str] = []

    class Listener(Observer):
        def noted(self, sentence: str) -> None:
            sentences.append(sentence)

    train(tiny, tmp_path / "whole")
    run = tmp_path / "run"
    train(tiny, run)
    shutil.rmtree(run / "checkpoints")
    for link in ("best", "last"):
        (run / link).unlink()
    (run / ".metrics.jsonl.0123abcd.partial").write_text("half a li")
    (run / "checkpoints/.step-000099.0123abcd.partial").mkdir(parents=True)  # at a step that is not saved again
    (run / "samples/.step-000099.png.partial").write_text("half a picture, by an earlier version")
    train(tiny, run, resume=True, observer=Listener())
    assert any("begins at step 0" in sentence for sentence in sentences)
    assert_same_run(tmp_path / "whole", run)
    assert not list(run.rglob(".*.partial"))


def test_a_run_from_before_a_setting_was_added_goes_on_and_loads(
    tiny: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tiny, tmp_path / "run")

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class LaterConfig(TrainingConfig):
        augment: str = added("flip", before="none")

    monkeypatch.setattr(checkpoints, "TrainingConfig", LaterConfig)
    config = dataclasses.replace(checkpoints.read_config(tmp_path / "run"), steps=9)
    assert train(config, tmp_path / "run", resume=True).step == 9
    assert load_networks(tmp_path / "run", "step-000003").step == 3
    assert json.loads((tmp_path / "run/config.json").read_text())["augment"] == "none"


def test_a_stopped_run_has_saved_its_last_step(tiny: TrainingConfig, tmp_path: Path) -> None:
    class StopAfterTwo(Observer):
        asked = 0

        def should_stop(self) -> bool:
            self.asked += 1
            return self.asked == 2

    result = train(tiny, tmp_path / "run", observer=StopAfterTwo())
    assert (result.interrupted, result.step) == (True, 2)
    assert load_networks(tmp_path / "run", "last").step == 2
    assert train(tiny, tmp_path / "run", resume=True).step == 6


def test_a_complete_run_has_nothing_to_do(tiny: TrainingConfig, tmp_path: Path) -> None:
    train(tiny, tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    result = train(tiny, tmp_path / "run", resume=True)
    assert result.seconds_training == 0
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"learning_rate": 1e-3}, "--learning-rate 0.0005 to 0.001"), ({"seed": 1, "width": 8}, "--width 4 to 8")],
)
def test_settings_that_change_the_arithmetic_are_refused(
    tiny: TrainingConfig, tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    train(tiny, tmp_path / "run")
    with pytest.raises(ConfigError, match=named):
        train(dataclasses.replace(tiny, steps=9, **changes), tmp_path / "run", resume=True)


def test_other_intervals_are_accepted_and_written_down(tiny: TrainingConfig, tmp_path: Path) -> None:
    train(dataclasses.replace(tiny, steps=3), tmp_path / "run")
    train(dataclasses.replace(tiny, steps=8, checkpoint_every=4), tmp_path / "run", resume=True)
    assert [folder.name for folder in whole(tmp_path / "run")] == ["step-000003", "step-000004", "step-000008"]
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (saved["steps"], saved["checkpoint_every"]) == (8, 4)


def test_fewer_steps_than_reached_are_refused_and_change_nothing(tiny: TrainingConfig, tmp_path: Path) -> None:
    train(tiny, tmp_path / "run")
    before = (tmp_path / "run" / "config.json").read_bytes()
    with pytest.raises(ConfigError, match="reached step 6"):
        train(dataclasses.replace(tiny, steps=4), tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "config.json").read_bytes() == before


def test_other_images_are_refused(tiny: TrainingConfig, tmp_path: Path) -> None:
    train(tiny, tmp_path / "run")
    np.savez(tiny.data, images=np.zeros((40, 16, 16, 3), np.uint8) + np.arange(3, dtype=np.uint8))
    with pytest.raises(CheckpointError, match="other images"):
        train(dataclasses.replace(tiny, steps=9), tmp_path / "run", resume=True)


def test_a_directory_in_use_is_refused(tiny: TrainingConfig, tmp_path: Path) -> None:
    train(tiny, tmp_path / "run")
    with pytest.raises(CheckpointError, match="holds a run already"):
        train(tiny, tmp_path / "run")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "one.txt").write_text("dear")
    with pytest.raises(CheckpointError, match="other things"):
        train(tiny, tmp_path / "letters")
    with pytest.raises(CheckpointError, match="is a file"):
        train(tiny, tmp_path / "letters" / "one.txt")
    with pytest.raises(CheckpointError, match="holds no run"):
        train(tiny, tmp_path / "letters", resume=True)


def test_two_processes_cannot_train_in_one_directory(tiny: TrainingConfig, tmp_path: Path) -> None:
    train(dataclasses.replace(tiny, steps=3), tmp_path / "run")
    with claim(tmp_path / "run"), pytest.raises(CheckpointError, match="another process"):
        train(tiny, tmp_path / "run", resume=True)
    assert train(tiny, tmp_path / "run", resume=True).step == 6


def test_a_damaged_line_of_metrics_is_named_and_half_a_last_line_is_dropped(
    tiny: TrainingConfig, tmp_path: Path
) -> None:
    train(dataclasses.replace(tiny, steps=3), tmp_path / "run")
    metrics = tmp_path / "run" / "metrics.jsonl"
    lines = metrics.read_text().splitlines(keepends=True)
    metrics.write_text("".join([lines[0], "}{\n", *lines[2:]]))
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: line 2 is damaged"):
        train(tiny, tmp_path / "run", resume=True)
    metrics.write_text("".join(lines) + '{"step": 4, "loss')
    train(tiny, tmp_path / "run", resume=True)
    assert [line["step"] for line in metrics_of(tmp_path / "run")] == [1, 2, 3, 3, 4, 5, 6, 6]
