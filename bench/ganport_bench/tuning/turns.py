"""Measures the fastest plans of each bucket against each other, in rounds in which each has its turn."""

from collections.abc import Callable

import numpy as np
from ganport_runtime.buckets import BUCKETS

from ganport_bench.timing import interleave, turns_of
from ganport_bench.tuning.field_of_trials import FieldOfTrials
from ganport_bench.tuning.steps import Steps

__all__ = ["measure_in_turns"]

TURN_SECONDS = 0.04  # a plan's turn lasts about this long: far above the clock's own cost
PAUSE_SECONDS = 0.003  # between turns: threads of the plan before go on spinning for a millisecond
ROUNDS = 9


def measure_in_turns(field: FieldOfTrials, steps: Steps, seconds_left: Callable[[], float]) -> None:
    """Replace the rough figures of the finalists by medians over rounds, as many as there is time for.

    Args:
        field: the plans still in the running; all others are closed.
        steps: one a bucket.
        seconds_left: how long it may still take.
    """
    finalists = {bucket: field.finalists(bucket) for bucket in BUCKETS}
    field.keep(trial for trials in finalists.values() for trial in trials)
    for place, (bucket, trials) in enumerate(finalists.items()):
        steps.begin(f"batch {bucket}: {len(trials)} plans in turns")
        if len(trials) < 2:
            continue  # nothing to tell apart
        round_seconds = sum(PAUSE_SECONDS + max(TURN_SECONDS, 2 * trial.seconds[bucket]) for trial in trials)
        affordable = seconds_left() / (len(BUCKETS) - place) / round_seconds
        rounds = int(min(ROUNDS, affordable - 1))  # of infinite time too
        if rounds < 1:
            continue  # the rough figures stand
        systems = {str(trial.candidate): turns_of(trial.call(bucket), TURN_SECONDS) for trial in trials}
        taken = interleave(systems, rounds=rounds, pause=PAUSE_SECONDS)
        for trial in trials:
            trial.seconds[bucket] = float(np.median(taken[str(trial.candidate)]))
