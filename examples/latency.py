"""Measure how long one image takes: p50 and p99 of a bundle on this machine.

    pip install 'ganport[cpu]'
    python examples/latency.py [BUNDLE [SECONDS]]

What is timed is all that a caller waits for: the latent, the network, pixels as uint8. Warm-up is left out. p99 is
printed only from 1,000 runs on: of fewer, it would rest on less than ten.
"""

import sys
import time

import numpy as np
from ganport_runtime import Generator

WARM_UP = 20
RUNS_FOR_P99 = 1000


def measure(generator: Generator, seconds: float) -> np.ndarray:
    """Milliseconds of each call, back to back, for so many seconds."""
    for index in range(WARM_UP):
        generator.sample(1, seed=0, start=index)
    times: list[int] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter_ns()
        generator.sample(1, seed=1, start=len(times))
        times.append(time.perf_counter_ns() - begun)
    return np.array(times) / 1e6


def main(bundle: str, seconds: float) -> None:
    """Print the plan that was measured and the percentiles."""
    with Generator.open(bundle) as generator:
        print("plan:", generator.plan)
        times = measure(generator, seconds)
    halves = [float(np.median(half)) for half in np.array_split(times, 2)]
    print(f"{len(times)} images, one at a time: {1000 * len(times) / times.sum():,.0f} images/s")
    print(f"p50 {np.median(times):.3f} ms (first half {halves[0]:.3f}, second half {halves[1]:.3f})")
    if len(times) >= RUNS_FOR_P99:
        print(f"p99 {np.percentile(times, 99):.3f} ms, slowest {times.max():.3f} ms")
    else:
        print(f"p99: not from {len(times)} runs; measure longer")


if __name__ == "__main__":
    bundle = sys.argv[1] if len(sys.argv) > 1 else "demo/digits.ganport"
    main(bundle, float(sys.argv[2]) if len(sys.argv) > 2 else 10.0)
