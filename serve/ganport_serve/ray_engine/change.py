"""Changes the bundle of all replicas, or of none: tried in one of them, then one after the other, then for good."""

import asyncio
from typing import TYPE_CHECKING

from ganport_runtime import Bundle, PlanError

from ganport_serve.engine import Served
from ganport_serve.errors import NotReadyError
from ganport_serve.ray_engine.watch import Watch

if TYPE_CHECKING:
    from ganport_serve.ray_engine.cluster import Cluster

__all__ = ["change_bundle"]

LOOK = 0.1  # seconds between two looks at the replicas
CHANGE_SECONDS = 600.0  # for all of them


async def change_bundle(cluster: "Cluster", watch: Watch, old: Served, new: Bundle) -> None:
    """Make every replica serve another bundle; they keep the old one open for requests that are made of it.

    Raises:
        BundleError, PlanError: why the new bundle was not taken; every replica serves the old one.
        NotReadyError: too many replicas were lost meanwhile.
    """
    if new.digest == old.digest:
        return
    await cluster.rehearse(str(new.path))
    try:
        await asyncio.to_thread(cluster.deploy, str(new.path), new.digest)
        async with asyncio.timeout(CHANGE_SECONDS):
            await _wait(cluster, watch, new.digest)
    except BaseException as error:
        await asyncio.to_thread(cluster.deploy, str(old.path), old.digest)
        if isinstance(error, TimeoutError):
            raise NotReadyError(f"not all replicas took the bundle within {CHANGE_SECONDS:.0f} s") from None
        raise


async def _wait(cluster: "Cluster", watch: Watch, digest: str) -> None:
    """Until as many replicas as are wanted serve a bundle, or one says why it does not."""
    while True:
        await asyncio.sleep(LOOK)
        await watch.refresh()
        complaint = next((state.complaint for state in watch.states if state.complaint), None)
        if complaint is not None:
            raise PlanError(f"one replica did not take the bundle, so all keep the old one: {complaint}")
        _, wanted = await asyncio.to_thread(cluster.wanted)
        ready = sum(state.served.digest == digest for state in watch.states)
        if ready >= wanted and watch.served is not None and watch.served.digest == digest:
            return
