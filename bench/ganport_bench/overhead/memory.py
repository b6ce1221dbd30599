"""What a process holds at most while it generates many images to a folder, over what it holds for a few."""

import shutil
from pathlib import Path

from ganport_bench.errors import BenchError
from ganport_bench.overhead.figure import Figure
from ganport_bench.start.fresh import live
from ganport_bench.timing import Estimate

TARGET_RATIO = 1.3
FEW = 1_000


def measure(bundle: Path, folder: Path, many: int) -> Figure:
    """The figure `memory`: peak resident memory for `many` images over that for 1,000.

    Args:
        bundle: What generates; a small one is quicker and shows growth more clearly.
        folder: Where the images go for a while.
        many: Images of the larger run.
    """
    peaks = {count: peak_bytes(bundle, folder / f"images-{count}", count) for count in (FEW, many)}
    value = peaks[many] / peaks[FEW]
    return Figure(
        name="memory",
        title=f"peak memory of generating {many:,} images to a folder, over {FEW:,}",
        unit="x",
        estimate=Estimate(value, value, value),
        target=TARGET_RATIO,
        details={f"peak_mib_of_{count}": round(peak / 2**20, 1) for count, peak in peaks.items()},
        note="one run of each, so no interval",
    )


def peak_bytes(bundle: Path, folder: Path, count: int) -> int:
    """Peak resident bytes of `ganport generate` writing `count` images to `folder`, which is removed afterwards.

    Raises:
        BenchError: The command failed, or wrote another number of images.
    """
    command = ["generate", str(bundle), "--count", str(count), "--seed", "7", "--out", str(folder)]
    try:
        (_, done) = live("ganport", *command)
        written = sum(1 for path in folder.rglob("*.png") if not path.name.startswith("."))
        if written != count:
            raise BenchError(f"ganport {' '.join(command)} wrote {written} images")
        if done.peak is None:
            raise BenchError("this system does not tell a process's peak memory: leave the figure `memory` out")
        return done.peak
    finally:
        shutil.rmtree(folder, ignore_errors=True)
