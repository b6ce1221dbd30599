"""Runs one server on one event loop: ready once its engine is, ended by a signal without losing a request."""

import asyncio
import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import uvloop

from ganport_serve import admin
from ganport_serve.doors import Address, Doors
from ganport_serve.engine import Engine, Served
from ganport_serve.lifecycle import Lifecycle
from ganport_serve.listening import allow_files, is_loopback
from ganport_serve.metrics import Metrics
from ganport_serve.service import Service
from ganport_serve.settings import Settings

__all__ = ["Address", "Server"]

OnReady = Callable[[Address, Served], None]
OnListening = Callable[[Address], None]

log = logging.getLogger(__name__)
# Seconds. A thread whose engine has finished waits so long at most for the event loop to let go of the interpreter;
# with Python's own 5 ms the engine could stand idle for a third of a batch.
SWITCH_INTERVAL = 0.0005


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
        self._lifecycle = Lifecycle()

    def run(
        self,
        on_ready: OnReady | None = None,
        on_listening: OnListening | None = None,
    ) -> None:
        """Serve until a signal or `stop`.

        Args:
            on_ready: called once every bucket of every model is warm and the probe has passed.
            on_listening: called once the ports are open; until it is ready, they answer 503.

        Raises:
            ServeError: a port is taken, or accepted requests were not answered in time at the end.
            BundleError, PlanError: the bundle cannot be served.
        """
        sys.setswitchinterval(SWITCH_INTERVAL)
        allow_files(self._settings.max_connections)
        uvloop.run(self._serve(on_ready, on_listening))

    def stop(self) -> None:
        """End it as a signal does, from any thread; told twice, without waiting for what is not answered."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # its loop is closed: it has ended
                self._loop.call_soon_threadsafe(self._lifecycle.hurry)

    async def _serve(self, on_ready: OnReady | None, on_listening: OnListening | None) -> None:
        self._loop = asyncio.get_running_loop()
        metrics = Metrics()
        engine = self._make_engine(metrics)
        metrics.watch(engine.load)
        service = Service(engine, self._settings, metrics)
        doors = Doors(service, self._lifecycle)
        with self._signals(service):
            address = await doors.open()
            try:
                self._tell(address)
                if on_listening is not None:
                    on_listening(address)
                await self._work(engine, address, on_ready)
            finally:
                await self._end(doors, service)

    async def _work(self, engine: Engine, address: Address, on_ready: OnReady | None) -> None:
        if not await self._started(engine):
            return
        log.info("ready", extra={"url": address.url, "grpc": address.grpc})
        if on_ready is not None:
            on_ready(address, engine.served)
        await self._lifecycle.stopped()

    async def _started(self, engine: Engine) -> bool:
        """Start the engine, and return whether it serves: not where the server is to end before."""
        starting = asyncio.create_task(engine.start())
        stopped = asyncio.create_task(self._lifecycle.stopped())
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if self._lifecycle.is_draining:
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return False
        await starting
        return True

    async def _end(self, doors: Doors, service: Service) -> None:
        log.info("draining", extra={"unanswered": self._lifecycle.active})
        try:
            await doors.close()
        finally:
            for task in service.tasks:
                task.cancel()
            await asyncio.gather(*service.tasks, return_exceptions=True)
            await service.engine.close()
        log.info("stopped")

    def _tell(self, address: Address) -> None:
        log.info("listening", extra={"url": address.url, "grpc": address.grpc})
        if self._settings.token is None and not is_loopback(self._settings.host):
            detail = "set GANPORT_TOKEN, or listen at 127.0.0.1"
            log.warning(
                "anyone who reaches this host may use this server: " + detail, extra={"host": self._settings.host}
            )

    @contextlib.contextmanager
    def _signals(self, service: Service) -> Iterator[None]:
        """SIGTERM and SIGINT end it, SIGHUP loads the bundle again; only a process's main thread can be told."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        actions = {
            signal.SIGTERM: self._lifecycle.hurry,
            signal.SIGINT: self._lifecycle.hurry,
            signal.SIGHUP: lambda: service.keep(admin.swap(service.engine, self._path)),
        }
        for number, action in actions.items():
            loop.add_signal_handler(number, action)
        try:
            yield
        finally:
            for number in actions:
                loop.remove_signal_handler(number)
