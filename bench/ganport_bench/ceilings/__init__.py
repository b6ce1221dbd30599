"""What this machine could do at best: its matrix-product peak per precision, and what a network's graph asks for."""

from ganport_bench.ceilings.multiply_adds import NodeWork, multiply_adds, work_of
from ganport_bench.ceilings.peaks import Peak, higher, measure_peaks

__all__ = ["NodeWork", "Peak", "higher", "measure_peaks", "multiply_adds", "work_of"]
