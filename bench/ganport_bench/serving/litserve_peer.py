"""LitServe as a peer, in the settings that were the best of those tried."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from ganport_bench.serving.exchange import Endpoint, LitServeExchange
from ganport_bench.serving.process import ServerProcess, free_port, is_answering
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
                self.name, process.pid, Endpoint("127.0.0.1", port, LitServeExchange()), settings=dict(SETTINGS)
            )
