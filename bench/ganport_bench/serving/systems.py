"""What is measured beside each other: who it is, how it is asked, and the process that it runs in."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ganport_bench.client.requests import Endpoint

__all__ = ["GRPC", "HTTP", "Running", "ServedSystem", "name_of"]

HTTP, GRPC = "HTTP", "gRPC"


@dataclass(frozen=True)
class Running:
    """A server that is ready.

    Attributes:
        name: of the system.
        pid: of its first process.
        endpoint: over HTTP.
        grpc: host and port of the same protocol over gRPC, or None.
        plan: the generator's plan as the server says it; empty where it does not.
        settings: that it was started with, beyond its defaults.
    """

    name: str
    pid: int
    endpoint: Endpoint
    grpc: str | None = None
    plan: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


class ServedSystem(Protocol):
    """A server that can be started around a bundle's generator."""

    name: str

    def refusal(self) -> str | None:
        """Why it cannot run here, or None."""

    def start(self, bundle: Path, precision: str) -> AbstractContextManager[Running]:
        """Start it and wait until it is ready.

        Args:
            bundle: whose generator it serves.
            precision: asked for; `auto`: the fastest plan known.

        Raises:
            BenchError: it does not start; says why.
        """


def name_of(system: str, protocol: str) -> str:
    """What a system is called where it is asked by a protocol."""
    return system if protocol == HTTP else f"{system}, {protocol}"
