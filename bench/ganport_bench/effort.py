"""How long each part of `ganport bench` measures: one table of numbers, quick and full."""

from collections.abc import Callable
from dataclasses import dataclass, replace

OnStep = Callable[[str], None]  # called with a few words before each step

BATCHES = (1, 8, 64)

# Of the seconds that are given, these shares go to tuning and to rounds of speed. The rest takes as long as it takes.
# Of 720 s on two cores: opening, compiling and screening 200, ceilings 60, start 90, scenarios 60 to 90 (LoadGen's own
# minimum), load 80, nodes 5. Below `QUICK_BELOW` everything is quick.
TUNING, ROUNDS = 0.08, 0.27
QUICK_BELOW = 500.0
FULL_SECONDS, QUICK_SECONDS = 720.0, 300.0


@dataclass(frozen=True)
class Effort:
    """Rounds, seconds and counts."""

    is_quick: bool  # few rounds
    tuning_seconds: float  # for tuning a bundle that has no record on this machine
    rounds: int  # speed: turns of every system that count
    turn_seconds: float  # of one of them, about
    screening_rounds: int  # turns of every setting of a system, before its best one is known
    screening_seconds: float  # of one of them
    # time limit for each batch size. Systems whose interval is still too wide are measured again until then.
    batch_seconds: float
    images: int  # compared with the reference before a system is timed
    screening_images: int  # compared for every setting
    imports: int  # start: fresh processes for each module
    lives: int  # fresh processes for each way to open the bundle, and as many in which it is opened for the first time
    builds: int  # fresh processes for each engine
    calls: int  # at each batch size, after its first
    # scenarios: a run is ended after this; None: at LoadGen's own minimum. LoadGen calls shorter runs INVALID.
    limit_seconds: float | None
    search_seconds: float  # of each step of the search for the Server scenario's rate
    checked: int  # responses of a run that LoadGen keeps and that are compared, about
    levels: tuple[int, ...]  # load: numbers of clients that wait for their answers
    window_seconds: float  # of the windows that are compared with each other
    most_windows: int  # a level is called unstable after so many
    fractions: tuple[float, ...]  # of the closed loop's best rate, offered in the open loop, rising
    rate_seconds: float  # for how long requests are due at each rate
    samples: int  # requests of a rate, for which it goes on longer, but not for more than `most_rate_seconds`
    most_rate_seconds: float  # of one rate
    lead_seconds: float  # at the beginning of each rate that do not count
    beyond: int  # rates in a row that do not hold, after which the search for the knee ends


FULL = Effort(
    is_quick=False,
    tuning_seconds=TUNING * FULL_SECONDS,
    rounds=13,
    turn_seconds=0.12,
    screening_rounds=3,
    screening_seconds=0.08,
    batch_seconds=ROUNDS * FULL_SECONDS / len(BATCHES),
    images=256,
    screening_images=64,
    imports=4,
    lives=4,
    builds=1,
    calls=5,
    limit_seconds=None,
    search_seconds=2.0,
    checked=32,
    levels=(1, 2, 4, 8, 16, 32, 64),
    window_seconds=1.0,
    most_windows=10,
    fractions=(0.05, 0.1, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 2.5, 3.0),
    rate_seconds=5.0,
    samples=1100,  # a tenth more than p99 needs: the number of Poisson arrivals varies
    most_rate_seconds=12.0,
    lead_seconds=0.5,
    beyond=2,
)
QUICK = replace(
    FULL,
    is_quick=True,
    tuning_seconds=TUNING * QUICK_SECONDS,
    rounds=5,
    turn_seconds=0.05,
    screening_seconds=0.05,
    batch_seconds=ROUNDS * QUICK_SECONDS / len(BATCHES),
    imports=3,
    lives=3,
    calls=3,
    limit_seconds=1.0,
    search_seconds=0.5,
    checked=16,
    levels=(1, 8, 64),
    window_seconds=0.3,
    most_windows=6,
    fractions=(0.3, 0.6, 0.8, 1.0, 1.25, 1.6, 2.0, 3.0),
    rate_seconds=1.2,
    samples=200,
    most_rate_seconds=3.0,
    lead_seconds=0.2,
    beyond=1,
)


def effort_of(seconds: float | None, *, is_quick: bool, batches: int = len(BATCHES)) -> Effort:
    """The effort that takes about so long on two cores."""
    total = seconds or (QUICK_SECONDS if is_quick else FULL_SECONDS)
    effort = QUICK if is_quick or total < QUICK_BELOW else FULL
    return replace(effort, tuning_seconds=TUNING * total, batch_seconds=ROUNDS * total / batches)
