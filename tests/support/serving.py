"""Starts real servers on free ports: `ganport serve` as a process of its own, or the same server on a thread here."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ganport_serve.bundles import LocalEngine
from ganport_serve.engine import Engine, Served
from ganport_serve.metrics import Metrics
from ganport_serve.server import Address, Server
from ganport_serve.settings import Settings

SECONDS = 60.0  # after which something has gone wrong

MakeEngine = Callable[[Path, Settings, Metrics], Engine]


@dataclass(frozen=True)
class Serving:
    """`ganport serve` as a process that is ready."""

    url: str  # `http://127.0.0.1:PORT`
    grpc: str | None  # `127.0.0.1:PORT`, or None with `--no-grpc`
    process: "subprocess.Popen[str]"  # the process
    token: str | None  # what its clients send, if it wants one
    document: dict[str, Any]  # what `--json` printed
    log: IO[str]

    @property
    def headers(self) -> dict[str, str]:
        """What a client of HTTP sends with every request."""
        return {} if self.token is None else {"authorization": f"Bearer {self.token}"}

    @property
    def port(self) -> int:
        """Of HTTP."""
        return int(self.url.rpartition(":")[2])

    def events(self) -> list[dict[str, Any]]:
        """What it has written to its log so far."""
        self.log.seek(0)
        return [json.loads(line) for line in self.log]

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)


@contextmanager
def serving(bundle: Path, *words: object, token: str | None = None) -> Iterator[Serving]:
    """Run `ganport serve BUNDLE WORDS` until the block ends; it must end well then.

    Ports are free ones, the engine has one thread, the log is JSON; `words` may say otherwise.
    """
    command = [sys.executable, "-m", "ganport_cli", "serve", str(bundle), "--json", "--log-format", "json"]
    command += ["--port", "0", "--grpc-port", "0", "--threads", "1", *map(str, words)]
    environment = {name: value for name, value in os.environ.items() if name != "GANPORT_TOKEN"}
    environment |= {} if token is None else {"GANPORT_TOKEN": token}
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process,
    ):
        try:
            document = _first_document(process, log)
            yield Serving(document["url"], document["grpc"], process, token, document, log)
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                assert process.wait(SECONDS) == 0, _text(log)
        finally:
            process.kill()


@dataclass(frozen=True)
class Here:
    """The server on a thread of this process."""

    url: str  # `http://127.0.0.1:PORT`
    grpc: str | None  # `127.0.0.1:PORT`, or None
    engine: Engine  # what makes its images
    server: Server  # may be stopped before the block ends

    @property
    def port(self) -> int:
        """Of HTTP."""
        return int(self.url.rpartition(":")[2])


def local_engine(path: Path, settings: Settings, metrics: Metrics) -> LocalEngine:
    """The engine of one process, on one thread."""
    return LocalEngine(path, settings, metrics, threads=1)


@contextmanager
def serving_here(
    bundle: Path, *, make_engine: MakeEngine = local_engine, ready: bool = True, **settings: Any
) -> Iterator[Here]:
    """Serve on a thread of this process, also with settings that the command line does not have."""
    chosen = Settings(**{"port": 0, "grpc_port": None, **settings})
    engines: list[Engine] = []
    addresses: list[Address] = []
    failures: list[BaseException] = []
    reached = threading.Event()

    def make(metrics: Metrics) -> Engine:
        engines.append(make_engine(bundle, chosen, metrics))
        return engines[0]

    def arrive(address: Address, served: Served | None = None) -> None:
        addresses.append(address)
        reached.set()

    def run() -> None:
        try:
            server.run(on_ready=arrive) if ready else server.run(on_listening=arrive)
        except BaseException as error:
            failures.append(error)
        finally:
            reached.set()

    server = Server(bundle, chosen, make)
    thread = threading.Thread(target=run, name="test-server")
    thread.start()
    try:
        assert reached.wait(SECONDS)
        if addresses:
            yield Here(addresses[0].url, addresses[0].grpc, engines[0], server)
    finally:
        server.stop()
        thread.join(SECONDS)
    if failures:
        raise failures[0]
    assert not thread.is_alive()


def _first_document(process: "subprocess.Popen[str]", log: IO[str]) -> dict[str, Any]:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == "}\n":
            document: dict[str, Any] = json.loads("".join(lines))
            return document
    raise AssertionError(f"ganport serve ended with {process.wait(SECONDS)}: {_text(log)}")


def _text(log: IO[str]) -> str:
    log.seek(0)
    return log.read()
