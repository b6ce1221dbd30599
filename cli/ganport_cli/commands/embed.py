"""`ganport embed`: the discriminator's feature vector of every image of a source, as one array."""

import json as json_format
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganport_cli import plan_options as plans
from ganport_cli.terminal import Json, print_json, progress, say

if TYPE_CHECKING:
    from ganport_runtime import Discriminator
    from ganport_train.data import ImageSet

ImagesArgument = Annotated[str, typer.Argument(metavar="IMAGES", help="An image, a folder, a .zip, an .npz or digits.")]
OutOption = Annotated[Path, typer.Option(help="The .npy to write; the images' names go beside it as .names.json.")]
BATCH = 64


def embed(
    bundle: plans.BundleArgument,
    images: ImagesArgument,
    out: OutOption,
    background: Annotated[str, typer.Option(help="Color below transparent pixels: a name or #rrggbb.")] = "white",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave unreadable images out, with a count.")] = False,
    device: plans.Device = "auto",
    precision: plans.Precision = "auto",
    backend: plans.Backend = "auto",
    threads: plans.Threads = None,
    overwrite: plans.Overwrite = False,
    json: Json = False,
) -> None:
    """Write the discriminator's features of images, float32 [n, F]; row i is image i of the names beside it.

    Example: ganport embed emoji.ganport photos/ --out features.npy
    """
    names_file = _names_file(out, overwrite=overwrite)
    from ganport_runtime import Discriminator

    options = {"device": device, "precision": precision, "backend": backend}
    with plans.open_network(Discriminator, bundle, threads=threads, **options) as discriminator:
        say(f"Plan: {discriminator.plan}")
        found = _load(images, discriminator, background=background, skip_bad=skip_bad)
        begun = time.perf_counter()
        _write(discriminator, found, out, names_file)
        seconds = time.perf_counter() - begun
    shape = [len(found.images), discriminator.feature_dim]
    say(f"{out}: float32 {shape}; names of the rows in {names_file}")
    if json:
        document: dict[str, Any] = {"out": str(out), "shape": shape}
        document |= {"names": list(found.names), "skipped": list(found.skipped)}
        document |= {"plan": plans.plan_document(discriminator.plan), "seconds": round(seconds, 6)}
        print_json(document | {"images_per_second": round(shape[0] / seconds, 3)})


def _names_file(out: Path, *, overwrite: bool) -> Path:
    """Where the names go, once both files are seen to be free."""
    from ganport_cli.outputs import check_free

    if out.suffix.lower() != ".npy":
        raise typer.BadParameter(f"--out {out} does not end in .npy")
    names_file = out.with_suffix(".names.json")
    for file in (out, names_file):
        check_free(file, overwrite=overwrite)
    return names_file


def _load(source: str, discriminator: "Discriminator", *, background: str, skip_bad: bool) -> "ImageSet":
    from ganport_train.data import load_images
    from ganport_train.errors import ConfigError

    from ganport_cli.outputs import WriteError

    height, width, channels = discriminator.image_shape
    if height != width:
        raise WriteError(f"this discriminator takes images of {height} x {width}; only squares can be loaded")
    try:
        found = load_images(source, resolution=height, channels=channels, background=background, skip_bad=skip_bad)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None
    for sentence in found.notes:
        say(f"Note: {sentence}")
    return found


def _write(discriminator: "Discriminator", found: "ImageSet", out: Path, names_file: Path) -> None:
    import numpy as np
    from numpy.typing import NDArray

    from ganport_cli.outputs import write_array, writing

    shape = (len(found.images), discriminator.feature_dim)
    with progress("images") as bar, writing(names_file) as aside:
        task = bar.add_task("embedding", total=shape[0], note="")
        aside.write_text(json_format.dumps(found.names, indent=1) + "\n", encoding="utf-8")

        def vectors() -> Iterator[NDArray[np.float32]]:
            for first in range(0, shape[0], BATCH):
                yield discriminator.embed(found.images[first : first + BATCH])
                bar.update(task, completed=min(first + BATCH, shape[0]))

        write_array(out, vectors(), shape=shape, dtype=np.float32)
