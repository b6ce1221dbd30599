"""What every route has at hand: the engine, the settings, the metrics."""

from dataclasses import dataclass

from ganport_serve.engine import Engine
from ganport_serve.metrics import Metrics
from ganport_serve.settings import Settings

__all__ = ["Service"]


@dataclass(frozen=True)
class Service:
    """One running server's parts."""

    engine: Engine
    settings: Settings
    metrics: Metrics
