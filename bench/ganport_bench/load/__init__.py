"""A server under load: clients that wait for their answers, and requests at times of their own up to the knee."""

from ganport_bench.load.bundle import ServedBundle
from ganport_bench.load.csv_files import write_csv
from ganport_bench.load.effort import FULL, QUICK, Effort
from ganport_bench.load.measure import Load, measure_load
from ganport_bench.load.opened import Target
from ganport_bench.load.report import tables
from ganport_bench.load.target import target_of

__all__ = [
    "FULL",
    "QUICK",
    "Effort",
    "Load",
    "ServedBundle",
    "Target",
    "measure_load",
    "tables",
    "target_of",
    "write_csv",
]
