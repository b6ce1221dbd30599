"""Checkpoints: loading them, and one line for every way in which one can be damaged."""

import dataclasses
import hashlib
import json
import resource
import shutil
from pathlib import Path

import pytest
import torch
from ganport_train import checkpoints
from ganport_train.checkpoints import CheckpointState, load_networks, read_state, save, whole
from ganport_train.config import TrainingConfig
from ganport_train.errors import CheckpointError
from ganport_train.step import initial_state
from ganport_train.trainer import train
from safetensors.torch import load_file, save_file

from tests.train.conftest import tiny_settings, write_archive

FILES = ("discriminator", "ema", "generator", "optimizer-discriminator", "optimizer-generator")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainingConfig, Path]:
    folder = tmp_path_factory.mktemp("trained")
    config = tiny_settings(write_archive(folder / "images.npz"))
    train(config, folder / "run")
    return config, folder / "run"


@pytest.fixture
def tiny(trained: tuple[TrainingConfig, Path]) -> TrainingConfig:
    """The settings of `run`."""
    return trained[0]


@pytest.fixture
def run(trained: tuple[TrainingConfig, Path], tmp_path: Path) -> Path:
    """A copy of a trained run, for each test its own."""
    return shutil.copytree(trained[1], tmp_path / "run", symlinks=True)


def forget_digests(folder: Path) -> None:
    """Make state.json what it was before it held digests."""
    document = json.loads((folder / "state.json").read_text())
    del document["files"]
    (folder / "state.json").write_text(json.dumps(document))


def test_networks_load_in_eval_mode_with_the_weights_asked_for(run: Path, tiny: TrainingConfig) -> None:
    averaged, raw = load_networks(run, "last"), load_networks(run, "last", "raw")
    assert not averaged.generator.training
    assert not averaged.discriminator.training
    assert averaged.step == 6
    assert averaged.config.to_json() == json.loads((run / "config.json").read_text())
    assert len(averaged.data_digest) == 64
    files = {"ema": averaged.generator, "generator": raw.generator, "discriminator": raw.discriminator}
    for name, network in files.items():
        saved = load_file(run / "last" / f"{name}.safetensors")
        assert saved.keys() == network.state_dict().keys()
        assert all(torch.equal(tensor, saved[key]) for key, tensor in network.state_dict().items())
    assert not torch.equal(averaged.generator.project.weight, raw.generator.project.weight)


def test_checkpoints_are_found_by_name(run: Path) -> None:
    assert load_networks(run, "step-000003").step == 3
    assert load_networks(run, "best").step == int((run / "best").readlink().name[5:])


@pytest.mark.parametrize("name", ["step-000004", "../run", "", "last/../best"])
def test_a_checkpoint_that_is_not_there(run: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="choose best, last or one of step-000003, step-000006"):
        load_networks(run, name)


def test_a_run_that_is_not_there_or_has_no_checkpoint_yet(run: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no run"):
        load_networks(tmp_path)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(CheckpointError, match="no checkpoint has been saved yet"):
        load_networks(run)


def test_a_checkpoint_holds_safetensors_and_json_and_nothing_else(run: Path) -> None:
    for folder in whole(run):
        assert {path.name for path in folder.iterdir()} == {"state.json", *(f"{name}.safetensors" for name in FILES)}


@pytest.mark.parametrize("name", ["ema", "optimizer-generator"])
def test_a_truncated_file_is_named_even_without_digests(run: Path, tiny: TrainingConfig, name: str) -> None:
    path = run / "checkpoints/step-000006" / f"{name}.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    forget_digests(path.parent)
    with pytest.raises(CheckpointError, match=rf"step-000006/{name}\.safetensors: cannot be read") as caught:
        train(dataclasses.replace(tiny, steps=9), run, resume=True)
    assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(CheckpointError, match=rf"{name}\.safetensors: cannot be read"):
        train(dataclasses.replace(tiny, steps=9), run, resume=True)


@pytest.mark.parametrize("name", FILES)
def test_one_altered_bit_is_noticed(run: Path, tiny: TrainingConfig, name: str) -> None:
    path = run / "checkpoints/step-000006" / f"{name}.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    message = rf"/{name}\.safetensors: is altered or damaged .*: restore it, or delete"
    with pytest.raises(CheckpointError, match=message):
        train(dataclasses.replace(tiny, steps=9), run, resume=True)
    if name in ("generator", "discriminator", "ema"):
        with pytest.raises(CheckpointError, match=message):
            load_networks(run, "last", "raw" if name == "generator" else "ema")


def test_state_json_holds_the_digest_of_every_file(run: Path) -> None:
    files = json.loads((run / "last/state.json").read_text())["files"]
    contents = {path.name: path.read_bytes() for path in (run / "last").glob("*.safetensors")}
    assert files == {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def test_a_checkpoint_from_before_digests_were_recorded_loads_and_goes_on(run: Path, tiny: TrainingConfig) -> None:
    for folder in whole(run):
        forget_digests(folder)
    assert load_networks(run, "last").step == 6
    assert train(dataclasses.replace(tiny, steps=9), run, resume=True).step == 9


def test_tensors_of_another_network_are_refused(run: Path, tiny: TrainingConfig) -> None:
    path = run / "last/ema.safetensors"
    forget_digests(path.parent)
    tensors = load_file(path)
    narrower = {**tensors, "project.weight": tensors["project.weight"][:, :-1].contiguous()}
    save_file(narrower, path)
    with pytest.raises(CheckpointError, match=r"ema\.safetensors: project\.weight does not fit"):
        load_networks(run, "last")
    save_file(tensors, path)
    path = run / "last/optimizer-generator.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "more.exp_avg": torch.zeros(1)}, path)
    with pytest.raises(CheckpointError, match="holds tensors of another network"):
        train(dataclasses.replace(tiny, steps=9), run, resume=True)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe"])
def test_a_damaged_state_is_named(run: Path, tiny: TrainingConfig, content: bytes) -> None:
    (run / "last/state.json").write_bytes(content)
    for attempt in (lambda: load_networks(run, "last"), lambda: train(tiny, run, resume=True)):
        with pytest.raises(CheckpointError, match=r"state\.json"):
            attempt()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("step", "6"),
        ("step", True),
        ("scores", 5),
        ("scores", {}),
        ("scores", {"frechet_distance": None}),
        ("scores", {"frechet_distance": float("nan")}),
        ("scores", ["frechet_distance"]),
        ("config_digest", None),
        ("data_digest", 7),
        ("versions", "torch"),
        ("files", []),
        ("files", {"ema.safetensors": 1}),
        ("format", 2),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(run: Path, tiny: TrainingConfig, field: str, value: object) -> None:
    path = run / "checkpoints/step-000006/state.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    for attempt in (lambda: load_networks(run, "last"), lambda: train(tiny, run, resume=True)):
        with pytest.raises(CheckpointError, match=rf"state\.json: {field} (cannot be|2 is not 1)"):
            attempt()


def test_a_save_reads_one_earlier_checkpoint_however_many_there_are(
    tiny: TrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []

    def counted(folder: Path) -> CheckpointState:
        reads.append(folder)
        return read_state(folder)

    monkeypatch.setattr(checkpoints, "read_state", counted)
    train(dataclasses.replace(tiny, steps=12, checkpoint_every=1), tmp_path / "run")
    assert len(whole(tmp_path / "run")) == 12
    assert len(reads) <= 12  # 78 if each save read all of them


def test_a_save_finds_the_best_again_where_its_link_leads_nowhere(run: Path, tiny: TrainingConfig) -> None:
    state = initial_state(dataclasses.replace(tiny, channels=3))
    described = read_state(run / "last")
    (run / "best").unlink()
    (run / "best").symlink_to("checkpoints/step-000009")
    scores = {"frechet_distance": described.scores["frechet_distance"] + 1e6}
    save(run, state, dataclasses.replace(described, step=12, scores=scores))
    assert (run / "best").readlink().name in ("step-000003", "step-000006")
    assert (run / "last").readlink().name == "step-000012"


def test_a_run_copied_with_links_followed_goes_on(run: Path, tiny: TrainingConfig, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "copy", symlinks=False)
    assert not (copy / "last").is_symlink()
    assert train(dataclasses.replace(tiny, steps=9), copy, resume=True).step == 9
    assert (copy / "last").readlink() == Path("checkpoints/step-000009")
    assert (copy / "best").readlink().name in {folder.name for folder in whole(copy)}
    assert not list(copy.glob(".*.partial"))


def test_a_folder_that_is_no_copy_of_a_checkpoint_is_not_deleted(run: Path, tiny: TrainingConfig) -> None:
    (run / "last").unlink()
    shutil.copytree(run / "checkpoints/step-000006", run / "last")
    (run / "last/notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="last: is a folder that copies none of the checkpoints"):
        train(dataclasses.replace(tiny, steps=9), run, resume=True)
    assert (run / "last/notes.txt").read_text() == "mine"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"width": 4}', b'{"colour": 4}'])
def test_a_damaged_config_is_named(run: Path, content: bytes) -> None:
    (run / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load_networks(run, "last")


def test_a_config_altered_after_training_is_noticed(run: Path) -> None:
    document = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**document, "learning_rate": 0.1}))
    with pytest.raises(CheckpointError, match=r"config\.json is not the one"):
        load_networks(run, "last")


def test_a_failed_write_leaves_nothing(run: Path, tiny: TrainingConfig) -> None:
    before = sorted(run.rglob("*"))
    state = initial_state(dataclasses.replace(tiny, channels=3))
    described = dataclasses.replace(read_state(run / "last"), step=9)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # bytes of a file: state.json and some tensors fit
    try:
        with pytest.raises(OSError, match="too large"):
            save(run, state, described)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(run.rglob("*")) == before
