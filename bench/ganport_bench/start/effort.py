"""How often everything is measured."""

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "Effort"]


@dataclass(frozen=True)
class Effort:
    """Counts.

    Attributes:
        imports: fresh processes for each module.
        lives: fresh processes for each way to open the bundle, and as many in which it is opened for the first time.
        builds: fresh processes for each engine.
        calls: at each batch size, after its first.
        tuning_seconds: for tuning, where no record of this machine is there.
    """

    imports: int
    lives: int
    builds: int
    calls: int
    tuning_seconds: float


FULL = Effort(imports=9, lives=7, builds=3, calls=5, tuning_seconds=40.0)
QUICK = Effort(imports=3, lives=3, builds=1, calls=3, tuning_seconds=15.0)
