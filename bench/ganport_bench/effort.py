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

    is_quick: bool = False  # few rounds
    tuning_seconds: float = TUNING * FULL_SECONDS  # for tuning a bundle that has no record on this machine
    rounds: int = 13  # speed: turns of every system that count
    turn_seconds: float = 0.12  # of one of them, about
    screening_rounds: int = 3  # turns of every setting of a system, before its best one is known
    screening_seconds: float = 0.08  # of one of them
    # time limit for each batch size. Systems whose interval is still too wide are measured again until then.
    batch_seconds: float = ROUNDS * FULL_SECONDS / len(BATCHES)
    images: int = 256  # compared with the reference before a system is timed
    screening_images: int = 64  # compared for every setting
    imports: int = 4  # start: fresh processes for each module
    lives: int = 4  # processes for each way to open the bundle, and as many in which it is opened for the first time
    builds: int = 1  # fresh processes for each engine
    calls: int = 5  # at each batch size, after its first
    # scenarios: a run is ended after this; None: at LoadGen's own minimum. LoadGen calls shorter runs INVALID.
    limit_seconds: float | None = None
    search_seconds: float = 2.0  # of each step of the search for the Server scenario's rate
    checked: int = 32  # responses of a run that LoadGen keeps and that are compared, about
    levels: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64)  # load: numbers of clients that wait for their answers
    window_seconds: float = 1.0  # of the windows that are compared with each other
    most_windows: int = 10  # a level is called unstable after so many
    # of the closed loop's best rate, offered in the open loop, rising
    fractions: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0,
                                    2.5, 3.0)  # fmt: skip
    rate_seconds: float = 5.0  # for how long requests are due at each rate
    # requests of a rate, for which it goes on longer, but not for more than `most_rate_seconds`; a tenth more than p99
    # needs: the number of Poisson arrivals varies
    samples: int = 1100
    most_rate_seconds: float = 12.0  # of one rate
    lead_seconds: float = 0.5  # at the beginning of each rate that do not count
    beyond: int = 2  # rates in a row that do not hold, after which the search for the knee ends


FULL = Effort()
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
