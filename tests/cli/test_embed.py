"""`ganport embed`: features of any source of images, row by row in the order of the names beside them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import Discriminator
from ganport_train.data import load_images
from PIL import Image

from tests.cli.conftest import Ganport
from tests.support.bundles import make_bundle, make_weights


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Images of several sizes and modes."""
    folder = tmp_path / "photos"
    folder.mkdir()
    dice = np.random.default_rng(0)
    for number in range(70):
        size = int(dice.integers(8, 40))
        Image.fromarray(dice.integers(0, 256, (size, size, 3), np.uint8)).save(folder / f"{number:02d}.png")
    Image.fromarray(dice.integers(0, 256, (20, 20), np.uint8)).save(folder / "gray.png")
    return folder


def test_row_i_is_image_i_of_the_names(ganport: Ganport, bundle: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.npy"
    outcome = ganport("embed", bundle, photos, "--out", out, "--json")
    assert outcome.exit_code == 0
    found = load_images(str(photos), resolution=16, channels=3)
    with Discriminator.open(bundle) as discriminator:
        np.testing.assert_allclose(np.load(out), discriminator.embed(found.images), atol=1e-5)
    assert np.load(out).dtype == np.float32
    assert json.loads((tmp_path / "features.names.json").read_text()) == list(found.names)
    document = outcome.document
    assert document["names"] == list(found.names)
    assert document["shape"] == [71, 10]
    assert document["plan"]["role"] == "discriminator"


def test_an_unreadable_image_is_named_or_skipped(ganport: Ganport, bundle: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "05.png").write_bytes(b"no image")
    outcome = ganport("embed", bundle, photos, "--out", tmp_path / "features.npy")
    assert outcome.exit_code == 1
    assert "05.png is unreadable" in outcome.last_line
    assert list(tmp_path.iterdir()) == [photos]
    skipped = ganport("embed", bundle, photos, "--out", tmp_path / "features.npy", "--skip-bad", "--json")
    assert skipped.document["skipped"] == ["05.png"]
    assert skipped.document["shape"] == [70, 10]


def test_files_that_are_there_are_kept(ganport: Ganport, bundle: Path, photos: Path, tmp_path: Path) -> None:
    for name in ("features.npy", "features.names.json"):
        (tmp_path / name).write_text("precious")
        outcome = ganport("embed", bundle, photos, "--out", tmp_path / "features.npy")
        assert outcome.exit_code == 1
        assert f"{name} exists" in outcome.last_line
        (tmp_path / name).unlink()


def test_a_bundle_without_a_discriminator_says_so(ganport: Ganport, photos: Path, tmp_path: Path) -> None:
    half = make_bundle(tmp_path / "half.ganport", make_weights(), discriminator=False)
    outcome = ganport("embed", half, photos, "--out", tmp_path / "features.npy")
    assert outcome.exit_code == 1
    assert "half.ganport holds no discriminator" in outcome.last_line


def test_a_discriminator_of_oblong_images_says_so(ganport: Ganport, photos: Path, tmp_path: Path) -> None:
    oblong = make_bundle(tmp_path / "oblong.ganport", make_weights(image=(8, 16, 3)))
    outcome = ganport("embed", oblong, photos, "--out", tmp_path / "features.npy")
    assert outcome.exit_code == 1
    assert "takes images of 8 x 16; only squares can be loaded" in outcome.last_line


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (("photos", "--out", "features.txt"), 2, "--out features.txt does not end in .npy"),
        (("photos", "--out", "x.npy", "--background", "blurple"), 2, "'blurple' is no color"),
        (("photos", "--out", "x.npy", "--device", "tpu"), 2, "--device is 'tpu'"),
        (("nowhere", "--out", "x.npy"), 1, "nowhere: there is no such file or folder"),
    ],
)
def test_bad_usage_is_one_line(
    ganport: Ganport, bundle: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any, exit_code: int,
    message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(photos.parent)
    outcome = ganport("embed", bundle, *arguments)
    assert outcome.exit_code == exit_code
    assert message in outcome.last_line
    assert outcome.stdout == ""


def test_a_single_image_is_a_source_too(ganport: Ganport, bundle: Path, photos: Path, tmp_path: Path) -> None:
    ganport("embed", bundle, photos, "--out", tmp_path / "all.npy")
    assert ganport("embed", bundle, photos / "03.png", "--out", tmp_path / "one.npy").exit_code == 0
    np.testing.assert_allclose(np.load(tmp_path / "one.npy"), np.load(tmp_path / "all.npy")[3:4], atol=1e-5)
    assert json.loads((tmp_path / "one.names.json").read_text()) == ["03.png"]


def test_gray_images_are_embedded_by_a_gray_discriminator(ganport: Ganport, photos: Path, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "gray.ganport", make_weights(image=(16, 16, 1)))
    assert ganport("embed", bundle, photos, "--out", tmp_path / "features.npy").exit_code == 0
    assert np.load(tmp_path / "features.npy").shape == (71, 10)
