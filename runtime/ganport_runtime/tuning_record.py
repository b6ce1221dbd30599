"""Moved to `ganport_runtime.tuning.record`."""

from ganport_runtime.tuning.record import Budget, MeasuredPlan, TuningRecord, best_overall, winners

__all__ = ["Budget", "MeasuredPlan", "TuningRecord", "best_overall", "winners"]
