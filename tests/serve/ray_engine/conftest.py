"""One local Ray with two replicas of a tiny bundle for all tests of the engine, driven from a loop on a thread."""

import asyncio
import os
import threading
import warnings
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ganport_runtime import Discriminator, Generator
from ganport_serve.metrics import Metrics
from ganport_serve.ray_engine import RayEngine, environment
from ganport_serve.settings import Settings

from tests.support.bundles import Weights, add_probe, make_bundle, make_weights

MAX_QUEUE = 600


@dataclass(frozen=True)
class Made:
    """A bundle and what its networks make in this process."""

    path: Path
    weights: Weights
    generator: Generator
    discriminator: Discriminator


@dataclass(frozen=True)
class Running:
    """The engine, and the loop that it belongs to."""

    engine: RayEngine
    metrics: Metrics
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, Any], seconds: float = 60.0) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(seconds)


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    yield from _made(tmp_path_factory, "first", make_weights())


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    yield from _made(tmp_path_factory, "second", make_weights(seed=9))


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A bundle whose digests are right and whose images are not those of its probe."""
    weights = make_weights(seed=3)
    return add_probe(make_bundle(tmp_path / "wrong.ganport", weights), make_weights(seed=4))


@pytest.fixture(scope="session")
def running(first: Made) -> Iterator[Running]:
    if find_spec("ray") is None:
        pytest.skip("ray is not installed: pip install 'ganport[ray]'")
    if os.environ.get("RAY_ADDRESS"):
        pytest.skip("RAY_ADDRESS is set: the replicas would be started on that cluster")
    environment.prepare()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # Ray's own models use an older pydantic's words
        import ray.serve  # noqa: F401
    loop = asyncio.new_event_loop()
    metrics = Metrics()
    settings = Settings(max_queue=MAX_QUEUE, drain_timeout=5.0, request_timeout=30.0)
    engine = RayEngine(
        first.path, settings, metrics, replicas=2, device="cpu", backend="onnxruntime", threads=1, health_period=0.5
    )
    running = Running(engine, metrics, loop)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        running.run(engine.start())
        yield running
    finally:
        running.run(engine.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _made(folders: pytest.TempPathFactory, name: str, weights: Weights) -> Iterator[Made]:
    path = add_probe(make_bundle(folders.mktemp("bundles") / f"{name}.ganport", weights), weights)
    options: dict[str, Any] = {"device": "cpu", "backend": "onnxruntime", "threads": 1}
    with Generator.open(path, **options) as generator, Discriminator.open(path, **options) as discriminator:
        yield Made(path, weights, generator, discriminator)
