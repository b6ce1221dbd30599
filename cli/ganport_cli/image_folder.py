"""A folder with one PNG an image, which a command that was interrupted goes on filling."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ganport_runtime import Generator
from ganport_train.grid import picture

from ganport_cli.files import OutputError, writing

__all__ = ["RECORD", "ImageFolder", "fill"]

RECORD = ".generation.json"  # hidden: the folder is a source of images, and holds nothing else to see


class ImageFolder:
    """A folder of images of one seed of one bundle, all made by one plan.

    Args:
        path: the folder; made where it is not there.
        settings: everything that the pixels of image k depend on beside k.

    Raises:
        OutputError: the folder holds other files, or was begun with other settings.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self.settings = dict(settings)
        path.mkdir(parents=True, exist_ok=True)
        record = path / RECORD
        if record.exists():
            self._compare(record)
        elif any(entry.name != f".{RECORD}.partial" for entry in path.iterdir()):
            raise OutputError(f"{path} holds other files; name a new folder")
        else:
            with writing(record) as aside:
                aside.write_text(json.dumps(self.settings, indent=2) + "\n", encoding="utf-8")

    def file(self, index: int) -> Path:
        """Where image `index` of the seed lies."""
        return self.path / f"{index:08d}.png"

    def has(self, index: int) -> bool:
        """Whether image `index` is there; an empty file, as a power cut leaves them, is not an image."""
        try:
            return self.file(index).stat().st_size > 0
        except FileNotFoundError:
            return False

    def _compare(self, record: Path) -> None:
        try:
            begun = json.loads(record.read_text(encoding="utf-8"))
        except ValueError:
            raise OutputError(f"{record} is damaged; name a new folder") from None
        for key in {**self.settings, **(begun if isinstance(begun, dict) else {})}:
            was = begun.get(key) if isinstance(begun, dict) else None
            if was != self.settings.get(key):
                raise OutputError(
                    f"{self.path} was begun with {key} {was}, this is {key} {self.settings.get(key)}; "
                    "name another folder, or give the settings it was begun with"
                )


def fill(
    folder: ImageFolder, generator: Generator, seed: int, start: int, count: int, batch: int
) -> Iterator[tuple[int, int]]:
    """Make the images that are missing of `start` to `start + count - 1`, a batch at a time.

    A batch that lacks one image is computed whole and only what lacks is written: so every image has the same batch
    mates as in a run of the same command that was never interrupted, and the same pixels to the last bit.

    Yields:
        For each batch, once it lies in the folder: its images, and how many of them were written now.
    """
    for first in range(start, start + count, batch):
        indices = range(first, min(first + batch, start + count))
        missing = [index for index in indices if not folder.has(index)]
        if missing:
            images = generator.sample(len(indices), seed=seed, start=first)
            for index in missing:
                with writing(folder.file(index)) as aside:
                    picture(images[index - first]).save(aside, "PNG")
        yield len(indices), len(missing)
