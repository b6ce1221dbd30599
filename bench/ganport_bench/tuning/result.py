"""Moved to `ganport_runtime.tuning.tuner`."""

from ganport_runtime.tuning.trials import RefusedPlan
from ganport_runtime.tuning.tuner import Tuning, title

__all__ = ["RefusedPlan", "Tuning", "title"]
