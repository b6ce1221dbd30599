"""One replica without Ray: its jobs, the change of its bundle, and its health."""

import asyncio
import pickle
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import BundleError, InputError, PlanError
from ganport_runtime.serving import Scores
from ganport_serve.ray_engine import environment
from ganport_serve.ray_engine.values import ErrorValue, Job, WrongBundleError
from ganport_serve.settings import Settings

from tests.serve.ray_engine.conftest import Made

environment.prepare()
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    pytest.importorskip("ray.serve", reason="ray is not installed: pip install 'ganport[ray]'")
    from ganport_serve.ray_engine import application
    from ganport_serve.ray_engine.application import GeneratorReplica

Work = Callable[[GeneratorReplica], Awaitable[Any]]


def on_replica(bundle: Path, work: Work) -> Any:
    async def run() -> Any:
        replica = GeneratorReplica(Settings(), {"device": "cpu", "backend": "onnxruntime", "threads": 1})
        await replica.reconfigure({"bundle": str(bundle)})
        try:
            return await work(replica)
        finally:
            await replica.close()

    return asyncio.run(run())


async def outcome(replica: GeneratorReplica, made: Made, job: Job | None = None) -> Any:
    """What a job makes of a bundle."""
    return (await replica.work(made.generator.bundle.digest, [(job or Job(2, seed=1), None)]))[0][0]


def test_does_each_job_or_says_what_is_wrong_with_it(first: Made) -> None:
    digest = first.generator.bundle.digest
    images = first.generator.sample(4, seed=5)
    jobs = [(Job(3, 7, 1), None), (Job(1, rows=np.full((1, 12), np.nan, np.float32)), None), (Job(2, 8), 30.0)]

    async def work(replica: GeneratorReplica) -> Any:
        made = await replica.work(digest, pickle.loads(pickle.dumps(jobs)))
        return made, await replica.work(digest, [(Job(4, rows=images, examine=True), None)])

    (made, reports), (scored, _) = pickle.loads(pickle.dumps(on_replica(first.path, work)))
    assert np.array_equal(made[0], first.generator.sample(3, seed=7, start=1))
    assert isinstance(made[1].error(), InputError)
    assert np.array_equal(made[2], first.generator.sample(2, seed=8))
    assert {role for role, _ in reports} == {"generator"}
    assert isinstance(scored[0], Scores)
    assert np.array_equal(scored[0].features, first.discriminator.embed(images))


def test_serves_the_old_bundle_besides_the_new_until_no_front_asks_for_it(
    first: Made, second: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "IDLE_SECONDS", 0.4)

    async def work(replica: GeneratorReplica) -> Any:
        before = await outcome(replica, second)
        await replica.reconfigure({"bundle": str(second.path), "digest": second.generator.bundle.digest})
        both = [await outcome(replica, made) for made in (first, second)]
        async with asyncio.timeout(30):
            while not isinstance(after := await outcome(replica, first), ErrorValue):
                await asyncio.sleep(0.6)
        return before, both, after, await replica.state()

    before, (old, new), after, state = on_replica(first.path, work)
    assert isinstance(before.error(), WrongBundleError)
    assert np.array_equal(old, first.generator.sample(2, seed=1))
    assert np.array_equal(new, second.generator.sample(2, seed=1))
    assert isinstance(after.error(), WrongBundleError)
    assert (state.served.path, state.complaint) == (second.path, "")


def test_keeps_its_bundle_if_another_one_fails_and_says_why(first: Made, second: Made, wrong: Path) -> None:
    async def work(replica: GeneratorReplica) -> Any:
        complaints = []
        for config in ({"bundle": str(wrong)}, {"bundle": str(second.path), "digest": "0" * 64}, {}):
            await replica.reconfigure(config)
            complaints.append((await replica.state()).complaint)
        kept = (await replica.state()).served.path
        await replica.reconfigure({"bundle": str(second.path)})
        await replica.check_health()
        return complaints, kept, await replica.state()

    complaints, kept, state = on_replica(first.path, work)
    assert "probe" in complaints[0]
    assert "wanted 000000000000" in complaints[1]
    assert "bundle" in complaints[2]
    assert kept == first.path
    assert (state.served.path, state.complaint) == (second.path, "")


def test_a_first_bundle_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="missing"):
        on_replica(tmp_path / "none", lambda replica: replica.state())


def test_is_unhealthy_once_its_engine_is_gone(first: Made) -> None:
    async def work(replica: GeneratorReplica) -> None:
        await replica.check_health()
        await replica.close()
        with pytest.raises(RuntimeError, match="closed"):
            await replica.check_health()

    on_replica(first.path, work)


def test_is_unhealthy_if_it_makes_other_images_than_at_the_start(first: Made) -> None:
    async def work(replica: GeneratorReplica) -> None:
        opened = replica._open[first.generator.bundle.digest]
        opened._wanted = opened._wanted ^ np.uint8(16)
        with pytest.raises(PlanError, match="health check"):
            await replica.check_health()

    on_replica(first.path, work)
