"""Where images come from, and one line for every source that will not do."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from ganport_train.data import load_images

from tests.train.sources import colored_files, message_of, png, write_folder, write_zip


def test_reading_images_needs_no_pytorch() -> None:
    code = "import sys, ganport_train, ganport_train.data, ganport_train.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_digits_are_gray_and_labelled() -> None:
    from sklearn.datasets import load_digits  # type: ignore[import-untyped]

    digits = load_digits()
    images = load_images("digits", resolution=16)
    assert images.images.shape == (1797, 16, 16, 1)
    assert images.class_names == tuple("0123456789")
    assert images.labels is not None
    np.testing.assert_array_equal(images.labels, digits.target)
    small = images.images[..., 0].astype(float).reshape(1797, 8, 2, 8, 2).mean(axis=(2, 4))
    assert np.abs(small - digits.images * 255 / 16).mean() < 12  # 2x2 pixels hold the gray of the one they came from
    assert images.images.max() == 255


def test_sub_folders_are_classes_in_a_fixed_order(tmp_path: Path) -> None:
    images = load_images(str(write_folder(tmp_path / "set", colored_files("dogs/", "cats/"))), resolution=16)
    assert images.names == ("cats/0.png", "cats/1.png", "dogs/0.png", "dogs/1.png")
    assert images.class_names == ("cats", "dogs")
    assert images.labels is not None
    assert images.labels.dtype == np.int64
    assert images.labels.tolist() == [0, 0, 1, 1]
    assert images.images[:, 0, 0].tolist() == [[40, 90, 0], [40, 90, 1], [0, 90, 0], [0, 90, 1]]


@pytest.mark.parametrize("top", ["", "emoji/", "all/emoji/"])
def test_a_zip_is_the_folder_it_was_packed_from(tmp_path: Path, top: str) -> None:
    contents = colored_files("dogs/", "cats/")
    folder = load_images(str(write_folder(tmp_path / "set", contents)), resolution=16)
    packed = write_zip(tmp_path / "set.zip", {top + name: content for name, content in contents.items()})
    images = load_images(str(packed), resolution=16)
    assert images.class_names == folder.class_names
    assert images.digest == folder.digest


def test_the_class_is_the_first_folder_below_the_common_one(tmp_path: Path) -> None:
    contents = colored_files("set/dogs/small/", "set/dogs/large/", "set/cats/")
    images = load_images(str(write_folder(tmp_path, contents)), resolution=16)
    assert images.class_names == ("cats", "dogs")
    assert images.labels is not None
    assert images.labels.tolist() == [0, 0, 1, 1, 1, 1]


def test_loose_images_beside_class_folders_leave_the_set_without_labels_and_a_note_says_so(tmp_path: Path) -> None:
    assert load_images(str(write_folder(tmp_path / "b", colored_files("photos/"))), resolution=16).notes == ()
    images = load_images(str(write_folder(tmp_path / "a", colored_files("", "cats/", "dogs/"))), resolution=16)
    assert images.labels is None
    assert any("2 images lie outside the 2 class folders" in note for note in images.notes)


def test_hidden_files_do_not_count_and_other_files_are_counted(tmp_path: Path) -> None:
    contents = colored_files("cats/", "dogs/")
    rubbish = {".hidden.png": b"x", "__MACOSX/cats/._0.png": b"x", ".git/a.png": b"x", "cats/.DS_Store": b"x"}
    others = {"readme.txt": b"x", "labels.csv": b"x"}
    folder = write_folder(tmp_path / "set", {**contents, **rubbish, **others})
    for source in (folder, write_zip(tmp_path / "set.zip", {**contents, **rubbish, **others})):
        images = load_images(str(source), resolution=16)
        assert len(images) == 4
        assert images.class_names == ("cats", "dogs")
        assert images.notes == ("2 files are no images by their extension and were left out",)


def test_linked_folders_are_followed_and_a_loop_ends(tmp_path: Path) -> None:
    write_folder(tmp_path / "elsewhere", colored_files(""))
    write_folder(tmp_path / "set", colored_files("cats/"))
    (tmp_path / "set" / "dogs").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set" / "dogs" / "back").symlink_to(tmp_path / "set")
    images = load_images(str(tmp_path / "set"), resolution=16)
    assert images.names == ("cats/0.png", "cats/1.png", "dogs/0.png", "dogs/1.png")


@pytest.mark.parametrize("key", ["images", "x_train"])
@pytest.mark.parametrize("shape", [(6, 20, 24), (6, 20, 24, 1), (6, 20, 24, 3), (6, 20, 24, 4)])
def test_npz_of_bytes(tmp_path: Path, key: str, shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.savez(tmp_path / "a.npz", **{key: pixels}, labels=np.array([3, 12, 3, 3, 12, 3]))  # type: ignore[arg-type]
    images = load_images(str(tmp_path / "a.npz"), resolution=16)
    assert images.images.shape == (6, 16, 16, 1 if len(shape) == 3 or shape[3] == 1 else 3)
    assert images.class_names == ("3", "12")
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((3, 8, 8), np.float32)}, "is float32, wanted uint8"),
        ({"images": np.zeros((3, 8, 8), np.uint16)}, "is uint16, wanted uint8"),
        ({"images": np.zeros((3, 8), np.uint8)}, "has shape [3, 8]"),
        ({"images": np.zeros((3, 3, 8, 8), np.uint8)}, "has shape [3, 3, 8, 8]"),
        ({"images": np.zeros((3, 0, 8), np.uint8)}, "has shape [3, 0, 8]"),
        ({"images": np.zeros((0, 8, 8), np.uint8)}, "holds no images"),
        ({"a": np.zeros((3, 8, 8), np.uint8), "b": np.zeros((3, 8, 8), np.uint8)}, "name the array of images `images`"),
        ({"labels": np.zeros(3, int)}, "name the array of images `images`"),
        ({"images": np.zeros((3, 8, 8), np.uint8), "labels": np.zeros(2, int)}, "`labels` is int64 of shape [2]"),
        ({"images": np.zeros((3, 8, 8), np.uint8), "labels": np.zeros(3)}, "`labels` is float64"),
        ({"images": np.array([None, {}], dtype=object)}, "allow_pickle=False"),
    ],
)
def test_npz_that_will_not_do(tmp_path: Path, arrays: dict[str, npt.NDArray[np.generic]], message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    assert message in message_of(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nowhere", None, "there is no such file or folder: name digits, a folder"),
        ("set.tar", b"x", "is of no known kind: name digits, a folder"),
        ("set.zip", b"not a zip", "is no readable .zip"),
        ("set.npz", b"not a zip", "is no readable .npz"),
        ("empty", {}, "holds no images: put PNG, JPEG, WebP or other images there, or name another"),
        ("texts", {"a.txt": b"x"}, "holds no images (1 files are no images"),
    ],
)
def test_sources_that_will_not_do(tmp_path: Path, name: str, content: object, message: str) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif isinstance(content, dict):
        (tmp_path / name).mkdir()
        write_folder(tmp_path / name, content)
        assert message in message_of(write_zip(tmp_path / f"{name}.zip", content))
    assert message in message_of(tmp_path / name)


def test_an_empty_name_is_not_the_folder_that_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_folder(tmp_path, colored_files("")))
    assert "is an empty text: name digits, a folder" in message_of("")
    assert len(load_images(".", resolution=16)) == 2


def test_a_single_image_is_a_source_without_classes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "set", {**colored_files("cats/"), "bad.PNG": b"x"})
    images = load_images(str(folder / "cats/1.png"), resolution=16)
    assert images.names == ("1.png",)
    assert images.labels is None
    assert images.images[0, 0, 0].tolist() == [0, 90, 1]
    assert "bad.PNG is unreadable" in message_of(folder / "bad.PNG")


@pytest.mark.parametrize("name", ["../up.png", "/etc/up.png", "a/../../up.png", "a\\..\\up.png"])
def test_a_zip_entry_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    assert "leads out of the archive" in message_of(write_zip(tmp_path / "a.zip", {name: png((0, 0, 0))}))


def test_class_names_that_only_look_like_numbers_are_texts(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, colored_files("--5/", "10/", "-3/", "2/", "-/", "cat/"))
    assert load_images(str(folder), resolution=16).class_names == ("-3", "2", "10", "-", "--5", "cat")
    long = "1" * 5000
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 8, 8), np.uint8), labels=np.array([long, "7"]))
    assert load_images(str(tmp_path / "a.npz"), resolution=16).class_names == ("7", long)


def test_the_digest_follows_pixels_and_labels(tmp_path: Path) -> None:
    contents = colored_files("cats/", "dogs/")
    digest = load_images(str(write_folder(tmp_path / "a", contents)), resolution=16).digest
    moved = {name.replace("dogs", "mice"): content for name, content in contents.items()}
    assert load_images(str(write_folder(tmp_path / "b", moved)), resolution=16).digest == digest
    loose = {name.replace("/", "-"): content for name, content in contents.items()}
    assert load_images(str(write_folder(tmp_path / "c", loose)), resolution=16).digest != digest
    other = {**contents, "cats/0.png": png((41, 90, 0))}
    assert load_images(str(write_folder(tmp_path / "d", other)), resolution=16).digest != digest


def test_npz_pixels_at_the_resolution_stay_as_they_are(image_archive: Path) -> None:
    with np.load(image_archive) as archive:
        np.testing.assert_array_equal(load_images(str(image_archive), resolution=16).images, archive["images"])
