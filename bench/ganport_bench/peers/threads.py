"""How many CPU threads a peer may be worth trying with."""

import os

__all__ = ["thread_choices"]


def thread_choices() -> tuple[int, ...]:
    """All cores that this process may use, then half of them, then one: keeping in step costs small batches."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return tuple(sorted({cores, max(1, cores // 2), 1}, reverse=True))
