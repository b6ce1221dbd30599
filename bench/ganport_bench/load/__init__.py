"""A server under load: clients that wait for their answers, and requests at given rates up to the knee.

`measure` loads a target and returns `LoadFindings`; `tables` shows the document of them; `write_csv` writes them as
perf_analyzer does.
"""

from ganport_bench.load.measure import LoadFindings, measure
from ganport_bench.load.output import tables, write_csv
from ganport_bench.load.servers import LoadTarget, ServedBundle, target_of

__all__ = ["LoadFindings", "LoadTarget", "ServedBundle", "measure", "tables", "target_of", "write_csv"]
