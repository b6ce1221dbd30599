"""How long everything is measured."""

from dataclasses import dataclass

__all__ = ["CLIENTS", "FULL", "PLANS", "QUICK", "Effort"]

CLIENTS = 64
PLANS = ("auto", "fp32")  # as tuned, and exact


@dataclass(frozen=True)
class Effort:
    """Rounds, seconds and requests.

    Attributes:
        rounds: turns of every system under many clients that count; one more comes before them.
        turn_seconds: of one of them.
        lead_seconds: at the beginning of a turn that do not count, while everyone gets warm again.
        single_rounds: turns with one client.
        single_seconds: of one of them.
        peak_seconds: for finding a server's capacity, each time.
        overload_seconds: of three times its capacity.
        requests: in a row while memory is watched.
        known: seeds whose images are compared.
        plans: precisions that are asked for, one plan each.
        tuning_seconds: for tuning a bundle that has no record on this machine.
    """

    rounds: int
    turn_seconds: float
    lead_seconds: float
    single_rounds: int
    single_seconds: float
    peak_seconds: float
    overload_seconds: float
    requests: int
    known: int = 64
    plans: tuple[str, ...] = PLANS
    tuning_seconds: float = 100.0


FULL = Effort(
    rounds=4,
    turn_seconds=1.3,
    lead_seconds=0.3,
    single_rounds=7,
    single_seconds=0.3,
    peak_seconds=2.0,
    overload_seconds=30.0,
    requests=200_000,
)
QUICK = Effort(
    rounds=2,
    turn_seconds=0.7,
    lead_seconds=0.2,
    single_rounds=2,
    single_seconds=0.2,
    peak_seconds=0.6,
    overload_seconds=3.0,
    requests=5_000,
    known=32,
    plans=("auto",),
    tuning_seconds=30.0,
)
