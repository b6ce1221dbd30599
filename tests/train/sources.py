"""Sources of images that tests write, and the line with which one is refused."""

import io
import zipfile
from pathlib import Path

import pytest
from ganport_train.data import load_images
from ganport_train.errors import DataError
from PIL import Image


def png(color: tuple[int, int, int], size: tuple[int, int] = (20, 20)) -> bytes:
    content = io.BytesIO()
    Image.new("RGB", size, color).save(content, "png")
    return content.getvalue()


def colored_files(*folders: str) -> dict[str, bytes]:
    return {f"{folder}{index}.png": png((40 * i, 90, index)) for i, folder in enumerate(folders) for index in range(2)}


def write_folder(root: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def write_zip(path: Path, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def message_of(source: Path | str) -> str:
    with pytest.raises(DataError) as caught:
        load_images(str(source), resolution=16)
    assert "\n" not in str(caught.value)
    return str(caught.value)
