"""Damaged and hostile images and archives: one line each, and what --skip-bad leaves out."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ganport_train.data import load_images
from ganport_train.errors import DataError
from PIL import Image

from tests.train.sources import colored_files, message_of, png, write_folder, write_zip


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=str
)
def test_a_damaged_zip_entry_is_named_and_can_be_skipped(tmp_path: Path, method: int) -> None:
    path = tmp_path / "a.zip"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    bitmap = io.BytesIO()
    Image.fromarray(noise).save(bitmap, "bmp")
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.bmp", bitmap.getvalue())
        archive.writestr("b.png", png((1, 2, 3)))
    for position in (40, 5000):  # the header of the compressed data, and its middle
        content = bytearray(path.read_bytes())
        content[position : position + 8] = b"\xff" * 8
        (tmp_path / "b.zip").write_bytes(content)
        assert "a.bmp is unreadable" in message_of(tmp_path / "b.zip")
        assert load_images(str(tmp_path / "b.zip"), resolution=16, skip_bad=True).skipped == ("a.bmp",)


def test_an_npz_damaged_or_of_another_kind(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 16, 16), dtype=np.uint8)
    np.savez_compressed(tmp_path / "a.npz", images=pixels)
    content = bytearray((tmp_path / "a.npz").read_bytes())
    for position in (60, 80, 1500):
        damaged = content[:position] + b"\xff" * 8 + content[position + 8 :]
        (tmp_path / "b.npz").write_bytes(damaged)
        assert "b.npz: is no readable .npz" in message_of(tmp_path / "b.npz")
    np.save(tmp_path / "c.npy", pixels)
    (tmp_path / "c.npy").rename(tmp_path / "c.npz")
    assert "is one array (.npy), wanted an .npz: save it with np.savez" in message_of(tmp_path / "c.npz")
    write_zip(tmp_path / "d.npz", {"images": b"some bytes"})
    assert "entry 'images' is no array" in message_of(tmp_path / "d.npz")


BAD = {
    "text.png": b"this is no image",
    "empty.png": b"",
    "short.png": png((1, 2, 3), (200, 200))[:120],
    "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
}


@pytest.mark.parametrize("bad", BAD)
def test_an_unreadable_image_is_named_and_can_be_skipped(tmp_path: Path, bad: str) -> None:
    folder = write_folder(tmp_path / "set", {**colored_files(""), bad: BAD[bad]})
    message = message_of(folder)
    assert f"{bad} is unreadable" in message
    assert "--skip-bad" in message
    assert "BytesIO" not in message
    images = load_images(str(folder), resolution=16, skip_bad=True)
    assert len(images) == 2
    assert images.skipped == (bad,)
    assert any("1 unreadable images were skipped" in note for note in images.notes)


def test_a_source_of_unreadable_images_alone_is_an_error_even_when_they_may_be_skipped(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, BAD)
    with pytest.raises(DataError, match="none of its 4 images is readable"):
        load_images(str(folder), resolution=16, skip_bad=True)


def test_a_picture_too_large_to_be_safe_is_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    folder = write_folder(tmp_path, {"bomb.png": png((1, 2, 3)), "small.png": png((1, 2, 3), (10, 10))})
    assert "bomb.png is unreadable" in message_of(folder)
    assert load_images(str(folder), resolution=16, skip_bad=True).skipped == ("bomb.png",)


def test_an_encrypted_zip_entry_is_unreadable(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a.png": png((1, 2, 3))})
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag in the local header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    path.write_bytes(content)
    assert "a.png is unreadable" in message_of(path)
