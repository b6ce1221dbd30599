"""How long everything is measured."""

from dataclasses import dataclass

__all__ = ["BATCHES", "FULL", "QUICK", "Effort"]

BATCHES = (1, 8, 64)


@dataclass(frozen=True)
class Effort:
    """Rounds and seconds.

    Attributes:
        rounds: turns of every contender that count.
        turn_seconds: of one of them, about.
        screening_rounds: turns of every setting of a contender, before its best one is known.
        screening_seconds: of one of them.
        batch_seconds: for one batch size, from the first round on; until then who has too wide an interval goes on.
        wide: the share of a value that its interval may be wide.
        more_rounds: taken at once by those whose interval is too wide.
        pause_seconds: before every turn. The threads of ONNX Runtime and OpenMP spin for a while after their work; in
            turns of 0.05 s without a pause OpenVINO, next in line, made two thirds of its images.
        images: compared with the reference before a contender is timed.
        screening_images: compared for every setting.
    """

    rounds: int
    turn_seconds: float
    screening_rounds: int
    screening_seconds: float
    batch_seconds: float
    wide: float = 0.10
    more_rounds: int = 4
    pause_seconds: float = 0.03
    images: int = 256
    screening_images: int = 64


FULL = Effort(rounds=13, turn_seconds=0.12, screening_rounds=3, screening_seconds=0.08, batch_seconds=80)
QUICK = Effort(rounds=5, turn_seconds=0.05, screening_rounds=3, screening_seconds=0.05, batch_seconds=12)
