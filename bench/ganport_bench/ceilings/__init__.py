"""What this machine could do at best, what a network's graph asks for, and hence the least time of a batch."""

from ganport_bench.ceilings.bandwidth import Bandwidth, Stream, faster, measure_bandwidth
from ganport_bench.ceilings.demand import Demand, demand_of
from ganport_bench.ceilings.floors import Floor, Floors, floors_of, share_of_ceiling
from ganport_bench.ceilings.multiply_adds import NodeWork, multiply_adds, work_of
from ganport_bench.ceilings.peaks import Peak, higher, measure_peaks
from ganport_bench.ceilings.traffic import NodeTraffic, traffic_of

__all__ = [
    "Bandwidth",
    "Demand",
    "Floor",
    "Floors",
    "NodeTraffic",
    "NodeWork",
    "Peak",
    "Stream",
    "demand_of",
    "faster",
    "floors_of",
    "higher",
    "measure_bandwidth",
    "measure_peaks",
    "multiply_adds",
    "share_of_ceiling",
    "traffic_of",
    "work_of",
]
