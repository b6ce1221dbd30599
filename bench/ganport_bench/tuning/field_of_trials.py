"""The plans that are still in the running: tried one after another, those far behind closed at once."""

from collections.abc import Iterable

from ganport_runtime import BundleError, PlanError
from ganport_runtime.buckets import BUCKETS, TOP
from ganport_runtime.bundle import Bundle
from ganport_runtime.plan import Candidate
from ganport_runtime.tuning import Budget, MeasuredPlan

from ganport_bench.tuning.result import RefusedPlan
from ganport_bench.tuning.trial import Reference, Trial, open_trial

__all__ = ["FieldOfTrials"]

FIRST = (1, 8)  # the buckets at which a plan shows whether it is far behind: some are best at single images alone
FAR = 0.5  # of the fastest of its kind at all of them: dropped at once
CLOSE = 0.8  # of the fastest, at any bucket: measured again in turns with it
MOST = 5  # plans a bucket, and as many of fp32, that are measured again


class FieldOfTrials:
    """Tries candidates and keeps those that may be the best somewhere.

    Args:
        bundle: whose plans.
        reference: what their images are compared with.
        budget: what they must keep.
        untuned: the plan that runs without tuning, or None; it is measured beside the fastest at every bucket.
    """

    def __init__(self, bundle: Bundle, reference: Reference, budget: Budget, untuned: Candidate | None) -> None:
        self._bundle, self._reference, self._budget, self._untuned = bundle, reference, budget, untuned
        self.open: list[Trial] = []
        self.dropped: list[Trial] = []
        self.refused: list[RefusedPlan] = []

    @property
    def plans(self) -> tuple[MeasuredPlan, ...]:
        """Every plan within the budget, with what was measured of it; the fastest at the top bucket first."""
        trials = sorted((*self.open, *self.dropped), key=lambda trial: trial.seconds[TOP])
        return tuple(trial.measured() for trial in trials)

    def try_out(self, candidate: Candidate) -> Trial | None:
        """Open a candidate, check its images, time it roughly; None where it is refused or behind everywhere."""
        try:
            trial = open_trial(self._bundle, candidate, self._reference)
        except (PlanError, BundleError) as error:
            self.refuse(candidate, str(error))
            return None
        trial.time_roughly(FIRST)
        fault = self._far_behind(trial) or trial.fault(self._budget)
        if fault is not None:
            self.refuse(candidate, fault)
            trial.close()
            return None
        trial.time_roughly(bucket for bucket in BUCKETS if bucket not in trial.seconds)
        self.open.append(trial)
        self.keep([other for other in self.open if self._is_promising(other)])
        return trial if trial in self.open else None

    def refuse(self, candidate: Candidate, reason: str) -> None:
        """Note why a plan is out."""
        self.refused.append(RefusedPlan.of(candidate, reason))

    def finalists(self, bucket: int) -> list[Trial]:
        """The plans to be measured against each other at a bucket: the fastest of all and of fp32, and the untuned."""
        everyone, exact = (self._close_to_fastest(bucket, trials) for trials in (self.open, self._exact))
        untuned = [trial for trial in self.open if trial.candidate == self._untuned]
        return list(dict.fromkeys((*everyone, *exact, *untuned)))

    def keep(self, kept: Iterable[Trial]) -> None:
        """Close every plan but these; their figures stay."""
        for trial in set(self.open) - set(kept):
            trial.close()
            self.open.remove(trial)
            self.dropped.append(trial)

    def close(self) -> None:
        """Close all."""
        for trial in self.open:
            trial.close()

    @property
    def _exact(self) -> list[Trial]:
        return [trial for trial in self.open if _precision(trial) == "fp32"]

    def _is_promising(self, trial: Trial) -> bool:
        """Whether a plan is a finalist at some bucket."""
        return any(trial in self.finalists(bucket) for bucket in BUCKETS)

    def _close_to_fastest(self, bucket: int, trials: list[Trial]) -> list[Trial]:
        order = sorted(trials, key=lambda trial: trial.seconds[bucket])
        return [trial for trial in order if CLOSE * trial.seconds[bucket] <= order[0].seconds[bucket]][:MOST]

    def _far_behind(self, trial: Trial) -> str | None:
        """That it is far slower than the fastest of its kind, or None.

        Callers may ask for a device, a backend and a precision, so that the fastest of each stays in the record.
        """
        rivals = [other for other in (*self.open, *self.dropped) if _kind(other) == _kind(trial)]
        if trial.candidate == self._untuned or not rivals:
            return None
        own = [trial.images_per_second(bucket) for bucket in FIRST]
        fastest = [max(other.images_per_second(bucket) for other in rivals) for bucket in FIRST]
        if any(speed >= FAR * best for speed, best in zip(own, fastest, strict=True)):
            return None
        return f"far behind: {_speeds(own)}; the fastest by {' '.join(_kind(trial))}: {_speeds(fastest)}"


def _kind(trial: Trial) -> tuple[str, str, str]:
    """What callers may ask for."""
    return trial.candidate.backend, trial.candidate.device, _precision(trial)


def _speeds(images_per_second: Iterable[float]) -> str:
    measured = zip(FIRST, images_per_second, strict=True)
    return ", ".join(f"{speed:.0f} images/s at batch {bucket}" for bucket, speed in measured)


def _precision(trial: Trial) -> str:
    return trial.running.plan.precision
