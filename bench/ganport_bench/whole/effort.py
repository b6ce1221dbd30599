"""How long the whole takes, and what the time goes to."""

from dataclasses import dataclass, replace

from ganport_bench.speed.effort import BATCHES
from ganport_bench.speed.effort import FULL as SPEED
from ganport_bench.speed.effort import QUICK as QUICK_SPEED
from ganport_bench.speed.effort import Effort as SpeedEffort

__all__ = ["Effort", "effort_of"]

# Of the seconds that are given, these shares go to tuning and to rounds of everyone's speed. The rest is for what takes
# as long as it takes. Of the 720 s on two cores: opening, compiling and screening 200, ceilings 60, start 90, scenarios
# 60 to 90 (LoadGen's own minimum), load 80, nodes 5. Below `QUICK_BELOW` all of it is done the quick way.
TUNING, ROUNDS = 0.08, 0.27
QUICK_BELOW = 500.0
FULL_SECONDS, QUICK_SECONDS = 720.0, 300.0


@dataclass(frozen=True)
class Effort:
    """Seconds and rounds.

    Attributes:
        is_quick: whether `start`, `scenarios`, `load` and the screening of settings are the quick ones.
        tuning_seconds: for tuning the bundle before anything is opened as users open it.
        speed: rounds of everyone's speed.
    """

    is_quick: bool
    tuning_seconds: float
    speed: SpeedEffort


def effort_of(seconds: float | None, *, is_quick: bool, batches: int = len(BATCHES)) -> Effort:
    """The effort that takes about so long on two cores.

    Args:
        seconds: in all; None: twelve minutes, or five where it is to be quick.
        is_quick: whether to be.
        batches: how many batch sizes share the rounds' time.
    """
    total = seconds or (QUICK_SECONDS if is_quick else FULL_SECONDS)
    quick = is_quick or total < QUICK_BELOW
    rounds = replace(QUICK_SPEED if quick else SPEED, batch_seconds=ROUNDS * total / batches)
    return Effort(quick, TUNING * total, rounds)
