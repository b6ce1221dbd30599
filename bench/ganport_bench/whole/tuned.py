"""The fastest plans that the parts open: by the user's own record where it holds here, else by one that is made now."""

from ganport_runtime import fingerprint
from ganport_runtime.tuning import Budget, TuningRecord, find_record, save

from ganport_bench.command import OnStep
from ganport_bench.speed.selection import WANTED_DB
from ganport_bench.speed.subject import Subject
from ganport_bench.start.record import holds
from ganport_bench.tuning import tune

__all__ = ["kept", "tuned"]


def kept(subject: Subject) -> TuningRecord | None:
    """What `ganport tune` remembers of the bundle on this machine, if that was tuned for at least the promised PSNR."""
    found = find_record(subject.opened, "generator", fingerprint.machine)
    if not isinstance(found, TuningRecord) or not holds(found):
        return None
    return found if found.budget.min_psnr_db >= _wanted_db(subject) else None


def tuned(subject: Subject, mine: TuningRecord | None, seconds: float, on_step: OnStep) -> tuple[TuningRecord, str]:
    """Leave a record in the cache folder that is in use.

    Args:
        subject: whose bundle.
        mine: the user's, or None.
        seconds: about how long tuning may take, where it is needed.
        on_step: called with a few words before each step.

    Returns:
        The record, and in words where it comes from.
    """
    if mine is not None:
        save(mine, subject.opened)
        return mine, f"by the user's record of {mine.created}, within {mine.budget}"

    def show(done: int, total: int, text: str) -> None:
        on_step(f"tuning, {done} of {total}: {text}")

    budget = Budget(min_psnr_db=_wanted_db(subject))
    record = tune(subject.bundle, budget=budget, seconds=seconds, on_progress=show).record
    return record, f"now, in {seconds:.0f} s, within {budget}"


def _wanted_db(subject: Subject) -> float:
    return WANTED_DB if subject.is_trained else 0.0
