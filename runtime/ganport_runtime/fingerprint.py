"""Moved to `ganport_runtime.machine`; `machine()` is `facts()` there."""

from ganport_runtime.machine import PACKAGES, changes, engines, gpus, processor
from ganport_runtime.machine import facts as machine

__all__ = ["PACKAGES", "changes", "engines", "gpus", "machine", "processor"]
