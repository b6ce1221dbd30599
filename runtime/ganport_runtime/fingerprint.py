"""Moved to `ganport_runtime.machine`; `machine()` is `facts()`, `engines()` is `engine_versions()` of the backends."""

from ganport_runtime.backends import engine_versions as engines
from ganport_runtime.machine import changes, gpus, processor
from ganport_runtime.machine import facts as machine

__all__ = ["changes", "engines", "gpus", "machine", "processor"]
