"""A bundle's generator under the four scenarios of MLCommons LoadGen; never an MLPerf result."""

from ganport_bench.scenarios.effort import FULL, QUICK, Effort
from ganport_bench.scenarios.measure import measure_scenarios
from ganport_bench.scenarios.report import tables
from ganport_bench.scenarios.results import Scenarios

__all__ = ["FULL", "QUICK", "Effort", "Scenarios", "measure_scenarios", "tables"]
