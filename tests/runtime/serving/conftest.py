"""A generator whose engine can be held, and can be made to fail."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import Generator
from ganport_runtime.backends import Session
from ganport_runtime.opening import Running
from numpy.typing import NDArray

MARK = np.float32(99.0)  # in a latent, on which the engine fails
SHORT = 30.0  # seconds that nothing here takes


class Held:
    """A real session behind a gate: while it is shut, runs wait, and `runs` says what came to the engine."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.gate = threading.Event()
        self.gate.set()
        self.runs: list[NDArray[Any]] = []
        self.entered = threading.Semaphore(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        (rows,) = inputs.values()
        self.runs.append(rows.copy())
        self.entered.release()
        assert self.gate.wait(30)
        if (rows == MARK).any():
            raise RuntimeError("the engine met a marked latent")
        return self.session.run(outputs, inputs)

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Hold the engine from its next run on; until then nothing was run."""
        self.runs.clear()
        while self.entered.acquire(blocking=False):
            pass
        self.gate.clear()
        try:
            yield
        finally:
            self.gate.set()

    def wait_for_run(self) -> None:
        assert self.entered.acquire(timeout=30)


@pytest.fixture
def one_thread(bundle: Path) -> Iterator[Generator]:
    with Generator.open(bundle, backend="onnxruntime", threads=1) as opened:
        yield opened


@pytest.fixture
def held(one_thread: Generator) -> Held:
    return Held(one_thread._opened()[64].session)


@pytest.fixture
def gated(one_thread: Generator, held: Held) -> Generator:
    """The generator on the held session."""
    session: Any = held
    running = {bucket: Running(plan, session) for bucket, plan in one_thread.plans.items()}
    return Generator(one_thread.bundle, running)


def marked() -> NDArray[np.float32]:
    """Latents of one image on which the engine fails."""
    return np.full((1, 12), MARK, np.float32)
