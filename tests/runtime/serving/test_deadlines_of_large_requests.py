"""Large requests that become late while part of them is in the next batch and part still waits."""

import asyncio
import time
from contextlib import suppress

import numpy as np
import pytest
from ganport_runtime import Batcher, Generator
from ganport_runtime.serving import DeadlineError


@pytest.fixture
def batches(generator: Generator) -> float:
    """Seconds that 64 images take."""
    generator.sample(64)
    began = time.monotonic()
    generator.sample(64)
    return time.monotonic() - began


@pytest.mark.parametrize("count", [65, 130, 500, 1000])
def test_threads(generator: Generator, batches: float, count: int) -> None:
    with Batcher(generator) as batcher:
        answers = []
        for share in (0.5, 1, 1.5, 2, 3, 5, 8):
            with suppress(DeadlineError):
                answers.append(batcher.submit(count, timeout=share * batches))
            with suppress(DeadlineError):
                answers[-1].result(timeout=60)
        assert np.array_equal(batcher.submit(3, seed=1).result(timeout=60), generator.sample(3, seed=1))
        assert batcher.stats().queued == 0


def test_event_loops(generator: Generator, batches: float) -> None:
    async def main(batcher: Batcher) -> None:
        for share in (0.5, 1, 1.5, 2, 3, 5, 8):
            with suppress(DeadlineError):
                await asyncio.wait_for(batcher.submit(1000, timeout=share * batches), 60)

    with Batcher(generator) as batcher:
        asyncio.run(main(batcher))
        assert np.array_equal(batcher.submit(3, seed=1).result(timeout=60), generator.sample(3, seed=1))
        assert batcher.stats().queued == 0
