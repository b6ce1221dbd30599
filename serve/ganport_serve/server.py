"""Runs one server on one event loop: its listeners open at once, ready once its engine is, ended without losing work.

HTTP/1.1 is Granian's, a server in Rust. It reads and writes on a thread of its own, and has the limits on heads,
trailers, idle connections and their number; what it hands on goes through `ganport_serve.http`.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from granian import net
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server as GranianServer

from ganport_serve.admin import swap
from ganport_serve.app import make_app
from ganport_serve.engine import Engine, Served
from ganport_serve.errors import ServeError
from ganport_serve.http import Application
from ganport_serve.listening import BACKLOG, bind_grpc, is_loopback, listen, reachable, within_files
from ganport_serve.metrics import Metrics
from ganport_serve.service import Service
from ganport_serve.settings import Settings
from ganport_serve.v2.grpc import GrpcServer

LAST_BYTES = 2.0  # seconds at least that answers have to reach their clients at the end
FOREVER = 1e6  # seconds; grpcio breaks where the grace of one stop ends while another stop is under way
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        url: of HTTP.
        grpc: `host:port` of gRPC, or None.
    """

    url: str
    grpc: str | None


OnReady = Callable[[Address, Served], None]
OnListening = Callable[[Address], None]


class Server:
    """One server of one bundle, from `run` until a signal or `stop`.

    Args:
        path: the bundle's directory; SIGHUP loads it again.
        settings: how it listens and what it refuses.
        make_engine: makes the engine, given what it counts with.
    """

    def __init__(self, path: Path, settings: Settings, make_engine: Callable[[Metrics], Engine]) -> None:
        self._path, self._settings, self._make_engine = path, settings, make_engine
        self._loop: asyncio.AbstractEventLoop | None = None
        self._service: Service | None = None

    def run(self, on_ready: OnReady | None = None, on_listening: OnListening | None = None) -> None:
        """Serve until a signal or `stop`.

        Args:
            on_ready: called once every bucket of every model is warm and the self-test has passed.
            on_listening: called once the ports are open; until it is ready, they answer 503.

        Raises:
            ServeError: a port is taken, or accepted requests were not answered in time at the end.
            BundleError, PlanError: the bundle cannot be served.
        """
        uvloop.run(self._serve(on_ready, on_listening))

    def stop(self) -> None:
        """End it as a signal does, from any thread; the second call does not wait for what is not answered."""
        if self._loop is not None and self._service is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended
                self._loop.call_soon_threadsafe(self._end, self._service)

    def _end(self, service: Service) -> None:
        service.lifecycle.stop(force=True)

    async def _serve(self, on_ready: OnReady | None, on_listening: OnListening | None) -> None:
        metrics = Metrics()
        engine = self._make_engine(metrics)
        metrics.watch(engine.load)
        service = self._service = Service.of(engine, within_files(self._settings), metrics)
        self._loop = asyncio.get_running_loop()
        listeners = Listeners(service)
        with self._signals(service):
            address = await listeners.open()
            try:
                self._tell(address)
                if on_listening is not None:
                    on_listening(address)
                if await _started(service):
                    log.info("ready", extra={"url": address.url, "grpc": address.grpc})
                    if on_ready is not None:
                        on_ready(address, engine.served)
                    await service.lifecycle.stopped()
            finally:
                await _close(listeners, service)

    def _tell(self, address: Address) -> None:
        log.info("listening", extra={"url": address.url, "grpc": address.grpc})
        if self._settings.token is None and not is_loopback(self._settings.host):
            detail = "set GANPORT_TOKEN, or listen at 127.0.0.1"
            log.warning(f"every client that reaches this host may use this server: {detail}")

    @contextlib.contextmanager
    def _signals(self, service: Service) -> Iterator[None]:
        """SIGTERM and SIGINT end it, SIGHUP loads the bundle again; only a process's main thread receives them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        actions: dict[int, Callable[[], Any]] = {
            signal.SIGTERM: lambda: self._end(service),
            signal.SIGINT: lambda: self._end(service),
            signal.SIGHUP: lambda: service.keep(swap(service.engine, self._path)),
        }
        for number, action in actions.items():
            loop.add_signal_handler(number, action)
        try:
            yield
        finally:
            for number in actions:
                loop.remove_signal_handler(number)


async def _started(service: Service) -> bool:
    """Start the engine, and return whether it serves: not where the server is to end before."""
    starting = asyncio.create_task(service.engine.start())
    stopped = asyncio.create_task(service.lifecycle.stopped())
    await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if service.lifecycle.is_draining:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        return False
    await starting
    return True


async def _close(listeners: "Listeners", service: Service) -> None:
    log.info("draining", extra={"unanswered": service.lifecycle.active})
    try:
        await listeners.close()
    finally:
        for task in service.tasks:
            task.cancel()
        await asyncio.gather(*service.tasks, return_exceptions=True)
        await service.engine.close()
    log.info("stopped")


class HttpServer(GranianServer):
    """Granian in this process, on a socket that is already bound.

    Granian binds its own otherwise, and would share a port with another server without a word.
    """

    def __init__(self, app: Application, settings: Settings, listener: socket.socket) -> None:
        limits = HTTP1Settings(
            header_read_timeout=round(settings.idle_timeout * 1000),
            max_buffer_size=max(8192, settings.max_header),
        )
        super().__init__(
            app,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            http1_settings=limits,
            websockets=False,
            backpressure=settings.max_connections,
            log_level=LogLevels.error,
            log_dictconfig={"incremental": True, "handlers": {}, "loggers": {}},  # leave this process's log as it is
        )
        self._listener = listener

    def _init_shared_socket(self) -> None:
        holder = vars(net)["SocketHolder"]  # whose published signature is that of an older version
        self._shd: Any = holder(self._listener.detach(), False, BACKLOG)
        self._ssp = None


class Listeners:
    """HTTP and gRPC of one server: opened together, and closed once what they accepted is answered.

    Args:
        service: what they serve.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._grpc = None if service.settings.grpc_port is None else GrpcServer(service)
        self._app = make_app(service)
        self._http: HttpServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._is_broken = False  # whether HTTP has ended by itself

    async def open(self) -> Address:
        """Open both.

        Raises:
            ServeError: a port is taken, or the host is not this machine.
        """
        settings = self._service.settings
        listener = listen(settings.host, settings.port, settings.write_timeout)
        grpc_address = None
        try:
            if self._grpc is not None and settings.grpc_port is not None:
                grpc_port = bind_grpc(self._grpc.add_insecure_port, settings.host, settings.grpc_port)
                await self._grpc.start()
                grpc_address = reachable(settings.host, grpc_port)
        except BaseException:
            listener.close()
            raise
        address = Address(f"http://{reachable(settings.host, listener.getsockname()[1])}", grpc_address)
        self._http = HttpServer(self._app, settings, listener)
        self._serving = asyncio.create_task(self._http.serve())
        self._serving.add_done_callback(self._http_ended)
        return address

    def _http_ended(self, serving: asyncio.Task[None]) -> None:
        """Stop the server where its HTTP ends before it is told to."""
        error = None if serving.cancelled() else serving.exception()
        if not self._service.lifecycle.is_draining:
            self._is_broken = True
            log.error("HTTP has ended by itself", exc_info=error)
            self._service.lifecycle.stop()

    async def close(self) -> None:
        """Refuse what comes, wait for what was accepted, and close both.

        Raises:
            ServeError: requests were not answered in time.
        """
        lifecycle = self._service.lifecycle
        seconds, begun = self._service.settings.drain_timeout, time.monotonic()
        lifecycle.stop()
        self._app.end(unread=True)
        grpc_end = None if self._grpc is None else asyncio.create_task(self._grpc.stop(FOREVER))
        lost = await lifecycle.drained(seconds)
        self._app.end(unread=False)
        left = LAST_BYTES if lost else max(seconds - (time.monotonic() - begun), LAST_BYTES)
        if self._grpc is not None and grpc_end is not None:
            await asyncio.wait((grpc_end,), timeout=min(left, LAST_BYTES))
            await asyncio.wait((asyncio.create_task(self._grpc.stop(None)),), timeout=LAST_BYTES)
        if self._http is not None and self._serving is not None:
            self._http.stop()  # type: ignore[no-untyped-call]
            await asyncio.wait((self._serving,), timeout=left)
        if self._is_broken:
            raise ServeError("HTTP has ended by itself; the log says why; start the server again")
        if lost:
            raise ServeError(
                f"{lost} accepted requests were not answered, and are lost: the server was told twice to stop, "
                f"or they took longer than {seconds:g} seconds"
            )
