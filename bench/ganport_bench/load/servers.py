"""Servers that are there already: of the Open Inference Protocol, and LitServe's through a small adapter."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ganport_bench.command import OnStep
from ganport_bench.load.address import Address
from ganport_bench.load.metadata import exchange_of, model_metadata, server_metadata
from ganport_bench.load.opened import BY_STATUS, Opened
from ganport_bench.load.statistics import Statistics
from ganport_bench.serving.exchange import Endpoint, LitServeExchange, OpenInferenceExchange
from ganport_bench.serving.expected import AnyAnswer

__all__ = ["LitServeServer", "OpenInferenceServer"]


@dataclass(frozen=True)
class OpenInferenceServer:
    """Any server of version 2 of the protocol.

    Attributes:
        address: where it listens.
        model: asked for.
    """

    address: Address
    model: str

    @property
    def text(self) -> str:
        """Its address and the model."""
        return f"{self.address}, model {self.model}"

    @contextmanager
    def open(self, on_step: OnStep) -> Iterator[Opened]:
        """Ask what it is and how the model is asked."""
        on_step(f"asking {self.address} what it serves")
        server = server_metadata(self.address)
        exchange = exchange_of(server, model_metadata(self.address, self.model), self.model, host=self.address.location)
        statistics = Statistics(self.address, self.model)
        missing = statistics.missing()
        by_seed = isinstance(exchange, OpenInferenceExchange)
        yield Opened(
            system=f"{server.get('name', 'unnamed')} {server.get('version', '')}".strip(),
            endpoint=Endpoint(self.address.host, self.address.port, exchange),
            judge=AnyAnswer(),
            judged=BY_STATUS,
            read_statistics=None if missing else statistics.read,
            no_statistics=missing,
            facts={"model": self.model, "asked by": "a seed each" if by_seed else "random numbers or zeros"},
        )


@dataclass(frozen=True)
class LitServeServer:
    """A LitServe server that takes `{"seed": 7}` and answers an image's bytes.

    Attributes:
        address: where it listens.
        path: that predicts.
    """

    address: Address
    path: str

    @property
    def text(self) -> str:
        """Its address and path."""
        return f"{self.address}{self.path}"

    @contextmanager
    def open(self, on_step: OnStep) -> Iterator[Opened]:  # noqa: ARG002
        """There is nothing to ask: LitServe does not describe what it serves."""
        endpoint = Endpoint(self.address.host, self.address.port, LitServeExchange(self.path, self.address.location))
        yield Opened("LitServe", endpoint, AnyAnswer(), BY_STATUS, no_statistics="LitServe counts none")
