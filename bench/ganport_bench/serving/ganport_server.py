"""`ganport serve`, as its users start it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ganport_bench.client.processes import ServerProcess
from ganport_bench.client.requests import Endpoint, SeedEncoder
from ganport_bench.serving.systems import Running

__all__ = ["GanportServer"]

NAME = "ganport serve"


class GanportServer:
    """The server with its default settings, on free ports, without a token."""

    name = NAME

    def refusal(self) -> None:
        """It runs wherever the benchmark does."""

    @contextmanager
    def start(self, bundle: Path, precision: str) -> Iterator[Running]:
        """Start it and wait for the document that it prints once it is ready."""
        command = [sys.executable, "-m", "ganport_cli", "serve", str(bundle)]
        options = ["--port", "0", "--grpc-port", "0", "--precision", precision, "--json"]
        with ServerProcess(NAME, [*command, *options], _document, {"GANPORT_TOKEN": None}) as process:
            facts = process.facts
            host, _, port = facts["url"].removeprefix("http://").partition(":")
            endpoint = Endpoint(host, int(port), SeedEncoder())
            yield Running(NAME, process.pid, endpoint, facts["grpc"], facts["plans"]["generator"])


def _document(printed: str) -> dict[str, Any] | None:
    """What was printed, once it is a whole document."""
    try:
        document: dict[str, Any] = json.loads(printed)
    except ValueError:
        return None
    return document
