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
        tuning_seconds: for tuning the bundle before it is opened as users open it.
        pause_seconds: before every turn. The threads of ONNX Runtime and OpenMP spin for a while after their work; in
            turns of 0.05 s without a pause OpenVINO, next in line, made two thirds of its images.
        images: compared with the reference before a contender is timed.
        screening_images: compared for every setting.
    """

    rounds: int
    turn_seconds: float
    screening_rounds: int
    screening_seconds: float
    tuning_seconds: float
    pause_seconds: float = 0.03
    images: int = 256
    screening_images: int = 64


FULL = Effort(rounds=13, turn_seconds=0.12, screening_rounds=5, screening_seconds=0.08, tuning_seconds=100)
QUICK = Effort(rounds=5, turn_seconds=0.05, screening_rounds=3, screening_seconds=0.05, tuning_seconds=30)
