"""A bundle, for which a server is started: `ganport serve` as its users start it, or a peer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ganport_runtime import Generator

from ganport_bench.command import OnStep
from ganport_bench.errors import BenchError
from ganport_bench.load.address import Address
from ganport_bench.load.opened import BY_IMAGES, Opened
from ganport_bench.load.statistics import Counters, Statistics
from ganport_bench.serving.exchange import Endpoint, OpenInferenceExchange
from ganport_bench.serving.expected import Expected
from ganport_bench.serving.ganport_server import GanportServer
from ganport_bench.serving.systems import ServedSystem
from ganport_bench.serving.usage import NICENESS, yield_to_others
from ganport_bench.serving.worker import Worker

__all__ = ["ServedBundle"]

KNOWN = 64  # seeds whose images are compared


@dataclass(frozen=True)
class ServedBundle:
    """A server around a bundle's generator, as long as it is loaded.

    Its processes let the load generator go first where both want the same core: requests would be late otherwise.

    Attributes:
        bundle: whose generator is served.
        system: that serves it.
        precision: asked for; `auto`: the fastest plan known.
    """

    bundle: Path
    system: ServedSystem = field(default_factory=GanportServer)
    precision: str = "auto"

    @property
    def text(self) -> str:
        """The server and the bundle."""
        return f"{self.system.name} {self.bundle}"

    @contextmanager
    def open(self, on_step: OnStep) -> Iterator[Opened]:
        """Make the images that answers are compared with, and start the server."""
        reason = self.system.refusal()
        if reason is not None:
            raise BenchError(f"{self.system.name}: {reason}")
        on_step("making the images that answers are compared with")
        with Worker("the generator without a server") as alone:
            images, plan = alone(_images, str(self.bundle), self.precision)
        on_step(f"starting {self.system.name}")
        with self.system.start(self.bundle, self.precision) as running:
            yield_to_others(running.pid)
            read, missing = _statistics(running.endpoint)
            facts = {"plan": running.plan or plan, **running.settings, "niceness": str(NICENESS)}
            yield Opened(running.name, running.endpoint, Expected(images), BY_IMAGES, read, missing, facts)


def _images(bundle: str, precision: str) -> tuple[list[bytes], str]:
    """The first image of each known seed, each made alone, and the plan: one for all batches, as servers want it."""
    with Generator.open(bundle, precision=precision, one_plan=True) as generator:
        return [generator.sample(1, seed=seed).tobytes() for seed in range(KNOWN)], str(generator.plan)


def _statistics(endpoint: Endpoint) -> tuple[Callable[[], Counters] | None, str]:
    if not isinstance(endpoint.exchange, OpenInferenceExchange):
        return None, "it does not speak the Open Inference Protocol"
    statistics = Statistics(Address(endpoint.host, endpoint.port), endpoint.exchange.model)
    missing = statistics.missing()
    return None if missing else statistics.read, missing
