"""Looks at the machine before a measurement and after it, so that what slowed it meanwhile shows."""

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ganport_runtime.host import this_host

from ganport_bench.machine import gpus, processor
from ganport_bench.machine.packages import versions

__all__ = ["Watch", "facts"]


class Watch:
    """The machine around a measurement: made before anything else happens, `finished` when it is over.

    Attributes:
        facts: as they were before; plain values for a document, None for what cannot be told here.
    """

    def __init__(self) -> None:
        load = _load()  # first: asking for GPUs would add to it
        host = this_host()
        self._gpus, note = gpus.look(host)
        self._lost = processor.lost()
        self.facts: Mapping[str, Any] = {
            "cpu": host.cpu,
            "cores": host.cores,
            "cpu_quota": host.cpu_quota,
            "governor": processor.governor(),
            "clock_mhz": processor.clock_mhz(),
            "load_average_1min": load,
            "memory_bytes": host.memory_bytes,
            "system": host.system,
            "python": platform.python_version(),
            "packages": versions(),
            "gpus": [gpu.to_json() for gpu in self._gpus],
            "gpu_note": note,
            "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def finished(self) -> dict[str, Any]:
        """The facts, with load and clocks as they are now, and what was taken from processor and GPUs since then.

        Returns:
            `facts` and beside them `load_average_1min_after`, `clock_mhz_after`, and `lost`: seconds that other
            machines took from this one's processor (`stolen_seconds`) and for which a container's limit halted it
            (`halted_seconds`), and how often it slowed down for heat (`thermal_events`). Each of `gpus` has its state
            `after`, and in `throttled_seconds` how long it was held back since, by reason.
        """
        looked, note = gpus.look(this_host())
        after = {
            "load_average_1min_after": _load(),
            "clock_mhz_after": processor.clock_mhz()["current"],
            "lost": processor.since(self._lost, processor.lost()),
        }
        notes = {"gpu_note": self.facts["gpu_note"] or note}
        return {**self.facts, **after, **notes, "gpus": gpus.compared(self._gpus, looked)}


def facts() -> dict[str, Any]:
    """The machine as it is just now."""
    return dict(Watch().facts)


def _load() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
