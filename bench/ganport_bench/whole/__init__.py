"""`ganport bench`: speed, where the time goes, the start, scenarios and a server under load, in one document.

The document, format 2; parts that were not asked for or could not run are absent, and the latter are in `skipped`:

    format, is_quick
    effort      {tuning_seconds, rounds, turn_seconds, seconds_a_batch_size}: how long speed was measured
    machine     facts before and after, as `machine.Watch` has them
    model       {run, bundle, bundle_digest, is_trained, reference (what images are compared with), tuned}
    ceilings, rows, missing, summary, targets, overhead     speed: `speed.document`
    nodes       where the time of the fastest plans goes: `nodes`
    start       `start`
    scenarios   `scenarios`
    load        `load`
    skipped     {part: why}
    took_seconds    {part: how long it took}
"""

from ganport_bench.effort import Effort, effort_of
from ganport_bench.whole.asked import PARTS, Asked
from ganport_bench.whole.document import Whole, to_json
from ganport_bench.whole.measure import measure_whole
from ganport_bench.whole.report import remarks, tables

__all__ = ["PARTS", "Asked", "Effort", "Whole", "effort_of", "measure_whole", "remarks", "tables", "to_json"]
