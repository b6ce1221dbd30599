"""A server that is ready to be loaded, and what is known of it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from ganport_bench.command import OnStep
from ganport_bench.load.statistics import Counters
from ganport_bench.serving.exchange import Endpoint
from ganport_bench.serving.expected import Judge

__all__ = ["BY_IMAGES", "BY_STATUS", "Opened", "Target"]

BY_IMAGES = "every eighth answer is compared with its image bit for bit, the others by status and size"
BY_STATUS = "answers are judged by their status alone"


@dataclass(frozen=True)
class Opened:
    """A server.

    Attributes:
        system: what it is.
        endpoint: where and how it is asked.
        judge: what is asked for and must be answered.
        judged: that in words.
        read_statistics: reads its own counters, or None.
        no_statistics: why there are none, or empty.
        facts: model, plan, settings, where they are known.
    """

    system: str
    endpoint: Endpoint
    judge: Judge
    judged: str
    read_statistics: Callable[[], Counters] | None = None
    no_statistics: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


class Target(Protocol):
    """What can be loaded."""

    @property
    def text(self) -> str:
        """What it is called in the document."""

    def open(self, on_step: OnStep) -> AbstractContextManager[Opened]:
        """Start what has to be started, and find out how it is asked.

        Args:
            on_step: called with a few words before each step.

        Raises:
            BenchError: it cannot be loaded; says why.
        """
