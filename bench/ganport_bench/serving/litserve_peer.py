"""LitServe as a peer, in the settings that were the best of those tried."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ganport_bench.client.processes import ServerProcess
from ganport_bench.client.requests import Endpoint, LitServeEncoder
from ganport_bench.serving.systems import Running

__all__ = ["LitServePeer"]

APP = "ganport_bench.serving.litserve_app"


class LitServePeer:
    """Batches up to the top bucket around the same generator; seeds as JSON, pixels as bytes."""

    name = "LitServe"

    def refusal(self) -> str | None:
        """It needs its package."""
        return None if find_spec("litserve") else "litserve is not installed: pip install 'ganport[bench]'"

    @contextmanager
    def start(self, bundle: Path, precision: str) -> Iterator[Running]:
        """Start it and wait until its health check passes: every worker is set up."""
        from ganport_bench.serving.litserve_app import SETTINGS

        port = free_port()
        command = [sys.executable, "-m", APP, str(bundle), precision, str(port)]
        with ServerProcess(self.name, command, lambda _: is_answering(port, "/health") or None) as process:
            yield Running(
                self.name, process.pid, Endpoint("127.0.0.1", port, LitServeEncoder()), settings=dict(SETTINGS)
            )


def free_port() -> int:
    """A port that nobody listens at just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def is_answering(port: int, path: str) -> bool:
    """Whether a GET of a path is answered with 200."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0) as connection:
            connection.sendall(request)
            return connection.recv(16).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False
