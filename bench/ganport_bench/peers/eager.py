"""PyTorch as it is, in either memory format, in float32 or under bfloat16 autocast."""

from ganport_bench.peers.protocol import Kind, Session, Settings
from ganport_bench.peers.pytorch import Layout, PyTorchSession, laid_out
from ganport_bench.peers.source import Source
from ganport_bench.peers.threads import thread_choices

__all__ = ["Eager"]


class Eager:
    """The module, called.

    Args:
        source: the network.
        name: what this way of calling it is called.
        precision: `bf16` runs it under autocast.
        layouts: memory formats worth trying.
    """

    kind: Kind = "peer"

    def __init__(self, source: Source, name: str, precision: str, layouts: tuple[Layout, ...]) -> None:
        self.name = name
        self._source, self._precision, self._layouts = source, precision, layouts

    def refusal(self) -> str | None:
        """None: whoever has a run directory has PyTorch."""
        return None

    def settings(self, batch: int) -> tuple[Settings, ...]:  # noqa: ARG002
        """Every layout with every thread count."""
        return tuple(
            {"threads": str(count), "layout": layout} for layout in self._layouts for count in thread_choices()
        )

    def open(self, settings: Settings, batch: int) -> Session:  # noqa: ARG002
        """Copy the module."""
        module = laid_out(self._source.module(), settings["layout"])
        return PyTorchSession(module, threads=int(settings["threads"]), precision=self._precision)
