"""A server's two doors, HTTP and gRPC: opened together, and closed once everybody inside is served."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn

from ganport_serve.app import make_app
from ganport_serve.errors import ServeError
from ganport_serve.express import Express
from ganport_serve.express_protocol import ExpressProtocol
from ganport_serve.http_config import Config
from ganport_serve.http_protocol import HttpProtocol
from ganport_serve.lifecycle import Lifecycle
from ganport_serve.listening import bind_grpc, listen, reachable
from ganport_serve.local_engine import LocalEngine
from ganport_serve.service import Service
from ganport_serve.v2.grpc import GrpcServer

__all__ = ["Address", "Doors"]

TICKS_OF_SWEEP = 5  # uvicorn ticks ten times a second
LAST_BYTES = 2.0  # seconds at least that answers of gRPC have to reach their clients
FOREVER = 1e6  # seconds; grpcio breaks where the grace of one stop ends while another stop is under way


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        url: of HTTP.
        grpc: `host:port` of gRPC, or None.
    """

    url: str
    grpc: str | None


class Doors:
    """HTTP and gRPC of one server.

    Args:
        service: what is behind them.
        lifecycle: whether requests are taken.
    """

    def __init__(self, service: Service, lifecycle: Lifecycle) -> None:
        self._settings, self._lifecycle = service.settings, lifecycle
        edge, engine = make_app(service, lifecycle), service.engine
        express = Express(service, lifecycle, edge, engine) if isinstance(engine, LocalEngine) else None
        self._http = _Http(Config(edge, service.settings, service.metrics, http=ExpressProtocol, express=express))
        self._grpc = None if service.settings.grpc_port is None else GrpcServer(service, lifecycle)
        self._serving: asyncio.Task[None] | None = None

    async def open(self) -> Address:
        """Open both.

        Raises:
            ServeError: a port is taken, or the host is not this machine.
        """
        settings = self._settings
        listener = listen(settings.host, settings.port)
        grpc_address = None
        try:
            if self._grpc is not None and settings.grpc_port is not None:
                grpc_port = bind_grpc(self._grpc.add_insecure_port, settings.host, settings.grpc_port)
                await self._grpc.start()
                grpc_address = reachable(settings.host, grpc_port)
        except BaseException:
            listener.close()
            raise
        self._serving = asyncio.create_task(self._http.serve([listener]))
        return Address(f"http://{reachable(settings.host, listener.getsockname()[1])}", grpc_address)

    async def close(self) -> None:
        """Refuse what comes, wait for what was accepted, and close both.

        Raises:
            ServeError: requests were not answered in time.
        """
        seconds, begun = self._settings.drain_timeout, time.monotonic()
        self._lifecycle.stop()
        grpc_end = None if self._grpc is None else asyncio.create_task(self._grpc.stop(FOREVER))
        lost = await self._lifecycle.drained(seconds)
        if self._grpc is not None and grpc_end is not None:
            left = max(seconds - (time.monotonic() - begun), LAST_BYTES)
            await asyncio.wait((grpc_end,), timeout=0 if lost else left)
            await self._grpc.stop(None)
            await grpc_end
        if self._serving is not None:
            self._http.end(abort=lost > 0)
            await self._serving
        if lost:
            raise ServeError(
                f"{lost} accepted requests were not answered, and are lost: the server was told twice to stop, "
                f"or they took longer than {seconds:g} seconds"
            )


class _Http(uvicorn.Server):
    """uvicorn without its signals, which are the whole server's business, and with an eye on all connections."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_OF_SWEEP == 0:
            now = asyncio.get_running_loop().time()
            for connection in self._connections():
                connection.sweep(now)
        return await super().on_tick(counter)

    def end(self, *, abort: bool) -> None:
        """Leave `serve`; cut connections whose requests are not answered where `abort`."""
        for connection in self._connections() if abort else ():
            connection.transport.abort()
        self.should_exit = True

    def _connections(self) -> list[HttpProtocol]:
        return [one for one in self.server_state.connections if isinstance(one, HttpProtocol)]
