"""What `import ganport_runtime` takes over `import numpy` alone, in fresh interpreters."""

import subprocess
import sys
from collections.abc import Callable

from ganport_bench.errors import BenchError
from ganport_bench.overhead.figure import Figure
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


def importing(module: str) -> Callable[[], float]:
    """A system: a fresh interpreter imports `module` and tells how long that took, its own start not counted."""
    code = f"import time; begun = time.perf_counter(); import {module}; print(time.perf_counter() - begun)"

    def run() -> float:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"import {module} fails in a fresh interpreter: {done.stderr.strip().splitlines()[-1]}")
        return float(done.stdout)

    return run
