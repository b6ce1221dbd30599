"""Moved to `ganport_runtime.tuning`."""

from ganport_runtime.tuning.trials import RefusedPlan
from ganport_runtime.tuning.tuner import Tuning, tune

__all__ = ["RefusedPlan", "Tuning", "tune"]
