"""Measures every plan of a bundle on this machine within an accuracy budget, and remembers the results.

`tuner.tune` measures, `record` keeps and finds the results. Opening a bundle imports the record alone.
"""

from ganport_runtime.tuning.record import (
    Budget,
    MeasuredPlan,
    TuningRecord,
    best_overall,
    find_record,
    record_name,
    save,
    tuning_folder,
    winners,
)

__all__ = [
    "Budget",
    "MeasuredPlan",
    "TuningRecord",
    "best_overall",
    "find_record",
    "record_name",
    "save",
    "tuning_folder",
    "winners",
]
