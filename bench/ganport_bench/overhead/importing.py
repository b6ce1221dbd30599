"""What `import ganport_runtime` takes over `import numpy` alone, in fresh interpreters."""

from ganport_bench.overhead.figure import Figure
from ganport_bench.start.importing import importing
from ganport_bench.timing import difference, interleave, median

TARGET_MILLISECONDS = 20.0


def measure(rounds: int) -> Figure:
    """The figure `import`: milliseconds over numpy alone."""
    seconds = interleave({name: importing(name) for name in ("ganport_runtime", "numpy")}, rounds=rounds, warmup=2)
    return Figure(
        name="import",
        title="import ganport_runtime, over import numpy alone",
        unit="ms",
        estimate=difference(seconds["ganport_runtime"], seconds["numpy"]).scaled(1e3),
        target=TARGET_MILLISECONDS,
        details={f"{name}_ms": round(median(taken).value * 1e3, 2) for name, taken in seconds.items()},
    )
