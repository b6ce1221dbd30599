"""Measures every plan of a bundle on this machine within an accuracy budget, and remembers the best for each bucket."""

from ganport_bench.tuning.result import RefusedPlan, Tuning
from ganport_bench.tuning.tuner import tune

__all__ = ["RefusedPlan", "Tuning", "tune"]
