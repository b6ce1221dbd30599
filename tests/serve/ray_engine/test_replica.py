"""One replica without Ray: the change of its bundle, parcels of either, and its health."""

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ganport_runtime import BundleError, InputError, PlanError
from ganport_runtime.serving import Scores
from ganport_serve.ray_engine import replica as replica_module
from ganport_serve.ray_engine.messages import ImageJob, LatentJob, Parcel, SeedJob
from ganport_serve.ray_engine.replica import GeneratorReplica
from ganport_serve.ray_engine.troubles import ElsewhereError, Trouble, error_of
from ganport_serve.settings import Settings

from tests.serve.ray_engine.conftest import Made

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


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def trouble(replica: GeneratorReplica, parcel: Parcel) -> Trouble:
    """What is wrong with a parcel's job, as soon as something is."""
    async with asyncio.timeout(30):
        while not isinstance(made := (await replica.work(parcel)).made[0], Trouble):
            await turns(1)
    return made


def test_makes_each_job_of_a_parcel_or_says_what_is_wrong_with_it(first: Made) -> None:
    digest = first.generator.bundle.digest
    bad = np.full((1, 12), np.nan, np.float32)
    parcel = Parcel(digest, [SeedJob(3, 7, 1), LatentJob(bad), SeedJob(2, 8, 0)], [None, None, 30.0])
    images = first.generator.sample(4, seed=5)
    scoring = Parcel(digest, [ImageJob(images)], [None])

    async def work(replica: GeneratorReplica) -> Any:
        return await replica.work(pickle.loads(pickle.dumps(parcel))), await replica.work(scoring)

    delivery, scored = pickle.loads(pickle.dumps(on_replica(first.path, work)))
    assert np.array_equal(delivery.made[0], first.generator.sample(3, seed=7, start=1))
    assert isinstance(error_of(delivery.made[1]), InputError)
    assert np.array_equal(delivery.made[2], first.generator.sample(2, seed=8))
    assert {role for role, _ in delivery.reports} == {"generator"}
    assert isinstance(scored.made[0], Scores)
    assert np.array_equal(scored.made[0].features, first.discriminator.embed(images))


def test_serves_the_old_bundle_beside_the_new_until_nobody_asks(
    first: Made, second: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_module, "IDLE_SECONDS", 0.0)  # but for a request, the old one is closed at once
    parcels = {made.path: Parcel(made.generator.bundle.digest, [SeedJob(2, 1, 0)], [None]) for made in (first, second)}

    async def work(replica: GeneratorReplica) -> Any:
        before = await replica.work(parcels[second.path])
        await replica.reconfigure({"bundle": str(second.path), "digest": second.generator.bundle.digest})
        await turns(20)  # nobody asks; other replicas are still to change
        both = [(await replica.work(parcel)).made[0] for parcel in parcels.values()]
        last = await trouble(replica, parcels[first.path])
        return before.made[0], both, last, await replica.state()

    before, (old, new), last, state = on_replica(first.path, work)
    assert isinstance(error_of(before), ElsewhereError)
    assert str(error_of(before)) == first.generator.bundle.digest
    assert np.array_equal(old, first.generator.sample(2, seed=1))
    assert np.array_equal(new, second.generator.sample(2, seed=1))
    assert str(error_of(last)) == second.generator.bundle.digest
    assert (state.served.path, state.complaint) == (second.path, "")


def test_a_replaced_bundle_for_which_nobody_asks_is_closed_when_every_change_is_over(
    first: Made, second: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_module, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(replica_module, "CHANGE_SECONDS", 0.0)

    async def work(replica: GeneratorReplica) -> Trouble:
        await replica.reconfigure({"bundle": str(second.path)})
        return await trouble(replica, Parcel(first.generator.bundle.digest, [SeedJob(2, 1, 0)], [None]))

    assert str(error_of(on_replica(first.path, work))) == second.generator.bundle.digest


def test_keeps_its_bundle_where_another_fails_and_says_why(first: Made, second: Made, wrong: Path) -> None:
    async def work(replica: GeneratorReplica) -> Any:
        tried = await replica.rehearse(str(wrong))
        complaints = []
        for config in ({"bundle": str(wrong)}, {"bundle": str(second.path), "digest": "0" * 64}, {}):
            await replica.reconfigure(config)
            complaints.append((await replica.state()).complaint)
        kept = (await replica.state()).served.path
        await replica.reconfigure({"bundle": str(second.path)})
        await replica.check_health()
        return tried, complaints, kept, await replica.state()

    tried, complaints, kept, state = on_replica(first.path, work)
    assert isinstance(error_of(tried), PlanError)
    assert "probe" in complaints[0]
    assert "wanted 000000000000" in complaints[1]
    assert "bundle" in complaints[2]
    assert kept == first.path
    assert (state.served.path, state.complaint) == (second.path, "")


def test_a_first_bundle_that_fails_is_an_error(tmp_path: Path) -> None:
    async def run() -> None:
        await GeneratorReplica(Settings(), {}).reconfigure({"bundle": str(tmp_path / "none")})

    with pytest.raises(BundleError, match="missing"):
        asyncio.run(run())


def test_is_unhealthy_once_its_engine_is_gone(first: Made) -> None:
    async def work(replica: GeneratorReplica) -> None:
        await replica.check_health()
        await replica.close()
        with pytest.raises(RuntimeError, match="closed"):
            await replica.check_health()

    on_replica(first.path, work)
