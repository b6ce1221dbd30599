"""Asks the replicas every second or so how they are, and holds the bundle that all of them serve."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from ganport_serve.engine import Served
from ganport_serve.ray_engine.messages import ReplicaState

__all__ = ["Watch"]

log = logging.getLogger(__name__)
PERIOD = 1.0
PERIOD_EACH = 0.02  # seconds for each replica, so that asking hundreds of them stays cheap
PATIENCE = 3.0  # seconds after which another bundle is taken for that of all, though not every replica could be asked


class Watch:
    """What a front knows of the replicas.

    Attributes:
        states: of those that answered the last time.
        served: the bundle that requests are made of; another one once every replica serves that. None at first.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[Sequence[ReplicaState]]],
        wanted: Callable[[], int],
        changed: Callable[[Served], None],
    ) -> None:
        self.states: Sequence[ReplicaState] = ()
        self.served: Served | None = None
        self._ask, self._wanted, self._changed = ask, wanted, changed
        self._differs_since: float | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Go on asking until `stop`."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def refresh(self) -> None:
        """Ask now."""
        self.states = await self._ask()
        digests = {state.served.digest for state in self.states}
        if len(digests) != 1 or (self.served is not None and self.served.digest in digests):
            self._differs_since = None
            return
        # a replica that changes its bundle cannot always be asked, so some that agree are not all
        now = asyncio.get_running_loop().time()
        self._differs_since = now if self._differs_since is None else self._differs_since
        if len(self.states) >= self._wanted() or now - self._differs_since > PATIENCE:
            self.served = self.states[0].served
            self._changed(self.served)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(max(PERIOD, PERIOD_EACH * len(self.states)))
            count = len(self.states)
            try:
                await self.refresh()
            except Exception as error:  # whatever Ray raises of itself: the next look may go better
                log.warning(
                    "the replicas did not say how they are", extra={"error": f"{type(error).__name__}: {error}"}
                )
            if len(self.states) != count:
                log.warning("another number of replicas than before", extra={"before": count, "now": len(self.states)})
