"""`ganport generate`: a grid, an .npy or a folder of images from a bundle, in constant memory, with a progress bar."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ganport_cli import plan_options as plans
from ganport_cli.terminal import Json, print_json, progress, say

if TYPE_CHECKING:
    from ganport_runtime import Generator

    from ganport_cli.outputs import ImageRange

Write = Callable[["Generator", Path, "ImageRange", Callable[[int], None]], int]

OutOption = Annotated[Path, typer.Option(help="grid.png, images.npy, or a folder: one PNG an image, named by number.")]
IMAGES_OF_A_SEED = 2**64


def generate(
    bundle: plans.BundleArgument,
    out: OutOption,
    count: Annotated[int, typer.Option(min=1, help="How many images.")] = 64,
    seed: Annotated[int, typer.Option(min=0, max=2**64 - 1, help="Image k of a seed is always the same.")] = 0,
    start: Annotated[int, typer.Option(min=0, max=2**64 - 1, help="The first image of the seed.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 64,
    device: plans.Device = "auto",
    precision: plans.Precision = "auto",
    backend: plans.Backend = "auto",
    threads: plans.Threads = None,
    overwrite: plans.Overwrite = False,
    json: Json = False,
) -> None:
    """Generate images: a grid (.png), an array (.npy), or a folder, which goes on where it was interrupted.

    Example: ganport generate emoji.ganport --count 64 --seed 7 --out grid.png
    """
    if start + count > IMAGES_OF_A_SEED:
        raise typer.BadParameter(f"--start {start} and --count {count} go past the last image of a seed, 2^64 - 1")
    write = _writer(out, count, overwrite=overwrite)
    from ganport_runtime import Generator

    from ganport_cli.outputs import ImageRange

    wanted = ImageRange(count, seed, start, batch)
    options = {"device": device, "precision": precision, "backend": backend}
    with plans.open_network(Generator, bundle, threads=threads, **options) as generator:
        plan = generator.plan
        say(f"Plan: {plan}")
        begun = time.perf_counter()
        made = _write_with_bar(write, generator, out, wanted)
        seconds = time.perf_counter() - begun
    there = "" if made == count else f" ({count - made} were there already)"
    say(f"{out}: {made} images made in {seconds:.1f} s{there}")
    if json:
        document = {"out": str(out), "count": count, "made": made, "seed": seed, "start": start}
        document |= {"plan": plans.plan_document(plan), "seconds": round(seconds, 6)}
        print_json(document | {"images_per_second": round(made / seconds, 3)})


def _writer(out: Path, count: int, *, overwrite: bool) -> Write:
    """What writes to a path of this kind, once the path is seen to be free."""
    from ganport_cli import outputs

    kind = "" if out.is_dir() else out.suffix.lower()
    if kind not in ("", ".png", ".npy"):
        raise typer.BadParameter(f"--out {out} ends in {kind}: wanted .png, .npy, or a folder without an ending")
    if kind == "" and overwrite:
        raise typer.BadParameter("--overwrite is for .png and .npy: a folder is gone on with; name a new one instead")
    if kind == ".png" and count > outputs.MAX_IMAGES:
        most = f"over {outputs.MAX_IMAGES}: name an .npy or a folder"
        raise typer.BadParameter(f"--count {count} is too large a grid, {most}")
    if kind == "":
        return outputs.to_folder
    outputs.check_free(out, overwrite=overwrite)
    return outputs.to_grid if kind == ".png" else outputs.to_array


def _write_with_bar(write: Write, generator: "Generator", out: Path, wanted: "ImageRange") -> int:
    """Write, showing progress; where Ctrl-C ends it, say what is there and how to go on."""
    with progress("images") as bar:
        task = bar.add_task("generating", total=wanted.count, note="")
        try:
            return write(generator, out, wanted, lambda images: bar.advance(task, images))
        except KeyboardInterrupt:
            done = f"{int(bar.tasks[0].completed)} of {wanted.count} images"
            kept = f"are in {out}: the same command goes on" if out.is_dir() else f"were made, {out} was not written"
            bar.stop()
            say(f"{done} {kept}")
            raise
