"""Two replicas on a real local Ray: the images of `Generator`, lost replicas, changed bundles, errors that cross."""

import asyncio
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import BundleError, InputError, PlanError
from ganport_runtime.serving import DeadlineError, QueueFullError
from ganport_serve.errors import NotReadyError

from tests.serve.ray_engine.conftest import MAX_QUEUE, Made, Running
from tests.support.http_client import wait_until

# Ray starts its processes and leaves some of their handles to the garbage collector
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:unclosed file .*ray.*:ResourceWarning"),
]
SECONDS = 40.0


async def until(what: Any) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(SECONDS):
        while not what():
            await asyncio.sleep(0.02)


def test_says_what_it_serves(running: Running, first: Made) -> None:
    served = running.engine.served
    assert running.engine.kind == "ray"
    assert running.engine.refusal() is None
    assert running.engine.load().replicas == 2
    assert (served.name, served.latent_dim, served.image_shape, served.feature_dim) == ("tiny", 12, (16, 16, 3), 10)
    assert served.digest == first.generator.bundle.digest
    assert served.path == first.path
    assert set(served.plans) == {"generator", "discriminator"}


@pytest.mark.parametrize(("count", "start"), [(1, 0), (64, 5), (65, 2**63), (300, 2**64 - 300)])
def test_samples_as_the_generator_does(running: Running, first: Made, count: int, start: int) -> None:
    images = running.run(running.engine.sample(count, seed=7, start=start))
    assert np.array_equal(images, first.generator.sample(count, seed=7, start=start))


def test_makes_images_of_latents_and_examines_them(running: Running, first: Made) -> None:
    z = np.random.default_rng(0).standard_normal((130, 12), np.float32)
    images = running.run(running.engine.generate(z))
    assert np.array_equal(images, first.generator(z))
    scores = running.run(running.engine.examine(images))
    assert np.array_equal(scores.logits, first.discriminator.score(images))
    assert np.array_equal(scores.features, first.discriminator.embed(images))


def test_a_big_request_is_split_over_the_replicas_and_counted(running: Running) -> None:
    def made() -> dict[str, int]:
        return {state.replica: state.images for state in running.run(running.engine._connection().states())}

    before, counted = made(), running.metrics.image_count
    assert running.run(running.engine.sample(2000)).shape == (2000, 16, 16, 3)
    shares = [images - before[replica] for replica, images in made().items()]
    assert len(shares) == 2
    assert min(shares) >= 64
    assert sum(shares) >= 2000
    assert running.metrics.image_count >= counted + 2000


def test_many_requests_at_once_each_get_their_own(running: Running, first: Made) -> None:
    asked = [(count, seed, 3 * seed) for seed, count in enumerate([1, 2, 3, 5, 8, 40, 64, 70] * 4)]

    async def work() -> Any:
        sample = running.engine.sample
        return await asyncio.gather(*(sample(count, seed=seed, start=start) for count, seed, start in asked))

    for (count, seed, start), images in zip(asked, running.run(work()), strict=True):
        assert np.array_equal(images, first.generator.sample(count, seed=seed, start=start))


def test_refuses_wrong_rows(running: Running) -> None:
    z = np.zeros((2, 12), np.float32)
    z[1, 3] = np.nan
    for rows, text in ((z, "first in row 1"), (z[:0], "no rows"), (z[:, :5], "float32"), (z.astype(float), "float64")):
        with pytest.raises(InputError, match=text):
            running.run(running.engine.generate(rows))
    with pytest.raises(InputError, match="images"):
        running.run(running.engine.examine(np.zeros((1, 8, 8, 3), np.uint8)))


def test_a_deadline_crosses_from_the_replica(running: Running) -> None:
    with pytest.raises(DeadlineError):
        running.run(running.engine.sample(64, timeout=1e-5))


def test_refuses_beyond_the_queue_and_loses_nothing(running: Running, first: Made) -> None:
    async def work() -> Any:
        return await asyncio.gather(*(running.engine.sample(64) for _ in range(60)), return_exceptions=True)

    found = running.run(work())
    refused = [one for one in found if isinstance(one, BaseException)]
    assert refused
    assert all(isinstance(one, QueueFullError) and one.retry_after > 0 for one in refused)
    wanted = first.generator.sample(64)
    made = [one for one in found if not isinstance(one, BaseException)]
    assert len(made) >= 2 * MAX_QUEUE // 64
    assert all(np.array_equal(images, wanted) for images in made)
    wait_until(lambda: running.engine.load().queued == 0)  # replicas say every now and then how busy they are


def test_a_cancelled_request_leaves_the_queue(running: Running) -> None:
    async def work() -> None:
        tasks = [asyncio.create_task(running.engine.sample(64, seed=seed)) for seed in range(12)]
        await asyncio.sleep(0)
        assert running.engine.load().queued > 0
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    running.run(work())
    wait_until(lambda: running.engine.load().queued == 0)


def test_a_lost_replica_costs_no_answer_and_is_replaced(running: Running, first: Made) -> None:
    wanted = first.generator.sample(150, seed=1)

    async def client(stop: asyncio.Event) -> int:
        right = 0
        while not stop.is_set():
            try:
                assert np.array_equal(await running.engine.sample(150, seed=1), wanted)
                right += 1
            except (NotReadyError, QueueFullError):  # which say when to ask again; anything else fails the test
                await asyncio.sleep(0.01)
        return right

    async def work() -> Any:
        stop = asyncio.Event()
        before = await running.engine._connection().states()
        clients = [asyncio.create_task(client(stop)) for _ in range(4)]
        await until(lambda: running.engine.load().running or running.engine.load().queued)
        os.kill(before[0].pid, signal.SIGKILL)
        await until(lambda: running.engine.load().replicas == 1)
        assert running.engine.refusal() is None
        await until(lambda: running.engine.load().replicas == 2)
        stop.set()
        return before, await asyncio.gather(*clients), await running.engine._connection().states()

    before, found, after = running.run(work())
    assert min(found) > 0
    names = [{state.replica for state in states} for states in (before, after)]
    assert len(names[0] & names[1]) == 1
    assert len(names[1]) == 2


@pytest.mark.parametrize("damage", ["missing", "altered", "fails its probe"])
def test_a_bad_bundle_leaves_the_old_one(
    running: Running, first: Made, wrong: Path, tmp_path: Path, damage: str
) -> None:
    before = running.engine.served
    bad = Path(shutil.copytree(first.path, tmp_path / "bad.ganport")) if damage == "altered" else tmp_path / "none"
    if damage == "altered":
        graph = next(bad.glob("generator*.onnx"))
        graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    with pytest.raises((BundleError, PlanError)) as caught:
        running.run(running.engine.swap(wrong if damage == "fails its probe" else bad))
    assert {"missing": "missing", "altered": "was altered", "fails its probe": "probe"}[damage] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert running.engine.served == before
    assert np.array_equal(running.run(running.engine.sample(3)), first.generator.sample(3))


def test_changes_its_bundle_under_load_and_back(running: Running, first: Made, second: Made) -> None:
    """Every answer, in three parts, is wholly of one bundle; after the change all are of the new one."""
    wanted = {made.path: made.generator.sample(150, seed=2) for made in (first, second)}
    seen: list[Path] = []

    async def client(stop: asyncio.Event) -> None:
        while not stop.is_set():
            images = await running.engine.sample(150, seed=2)
            of = [path for path, right in wanted.items() if np.array_equal(images, right)]
            assert len(of) == 1
            seen.extend(of)

    async def work() -> Any:
        stop = asyncio.Event()
        clients = [asyncio.create_task(client(stop)) for _ in range(3)]
        await until(lambda: len(seen) > 3)
        served = await running.engine.swap(second.path)
        after = await running.engine.sample(150, seed=2)
        stop.set()
        await asyncio.gather(*clients)
        return served, after, await running.engine.swap(first.path)

    pids = {state.pid for state in running.run(running.engine._connection().states())}
    served, after, back = running.run(work())
    assert served.path == second.path
    assert back.path == first.path
    assert np.array_equal(after, wanted[second.path])
    assert seen[0] == first.path
    assert {state.pid for state in running.run(running.engine._connection().states())} == pids, "changed in place"
    assert np.array_equal(running.run(running.engine.sample(150, seed=2)), wanted[first.path])


def test_a_replaced_replica_gets_the_present_bundle(running: Running, first: Made, second: Made) -> None:
    """Ray starts it with the first bundle, which the front has changed since."""
    wanted = second.generator.sample(70, seed=3)

    def all_serve_it() -> bool:
        states = running.engine._states
        return len(states) == 2 and {state.served.path for state in states} == {second.path}

    async def work() -> None:
        await running.engine.swap(second.path)
        lost = running.engine._states[0]
        os.kill(lost.pid, signal.SIGKILL)
        await until(lambda: running.engine.load().replicas == 1)
        while not (all_serve_it() and lost.replica not in {state.replica for state in running.engine._states}):
            assert np.array_equal(await running.engine.sample(70, seed=3), wanted)
        assert running.engine.served.path == second.path
        await running.engine.swap(first.path)

    running.run(work())
    assert np.array_equal(running.run(running.engine.sample(3)), first.generator.sample(3))
