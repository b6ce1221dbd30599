"""A tuning record for a cache folder of the benchmark's own: the caller's where it holds here, else one made now."""

from pathlib import Path

from ganport_runtime import Bundle, fingerprint
from ganport_runtime.tuning import TuningRecord, find_record, save

from ganport_bench.own_cache import own_cache
from ganport_bench.tuning import tune

__all__ = ["holds", "remember"]


def remember(bundle: Bundle, cache: Path, seconds: float) -> None:
    """Leave a record of this bundle and machine in a cache folder.

    Args:
        bundle: what is tuned.
        cache: the folder.
        seconds: about how long tuning may take, where it is needed.

    Raises:
        BenchError: no plan is within the usual accuracy budget.
        PlanError: nothing here runs the bundle in fp32.
        OSError: the folder cannot be written.
    """
    found = find_record(bundle, "generator", fingerprint.machine)
    with own_cache(cache):
        if isinstance(found, TuningRecord) and holds(found):
            save(found, bundle)
        else:
            tune(bundle.path, seconds=seconds)


def holds(record: TuningRecord) -> bool:
    """Whether machine and engines are as they were."""
    return record.machine == fingerprint.machine() and record.engines == fingerprint.engines()
