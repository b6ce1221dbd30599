"""The best of each kind at a batch size, and how many times as fast one is as another."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ganport_bench.speed.measured import Measured, speedup
from ganport_bench.speed.selection import WANTED_DB

__all__ = ["Summary", "summarize"]


@dataclass(frozen=True)
class Summary:
    """The fastest of each kind whose images are right; None where there is none.

    Attributes:
        best_peer_fp32: of the peers that compute in float32.
        best_peer: of the peers of any precision.
        best_plan: of ganport's plans of any precision whose PSNR is the wanted one.
        best_exact_plan: of ganport's plans that compute in float32.
    """

    best_peer_fp32: Measured | None
    best_peer: Measured | None
    best_plan: Measured | None
    best_exact_plan: Measured | None

    @property
    def names(self) -> dict[str, str | None]:
        """Who it is, of each kind."""
        return {key: None if one is None else one.name for key, one in vars(self).items()}

    def to_json(self) -> dict[str, Any]:
        """Names, and the ratios with their intervals."""
        ratios = {
            "best_plan_over_best_peer_fp32": speedup(self.best_plan, self.best_peer_fp32),
            "best_plan_over_best_peer": speedup(self.best_plan, self.best_peer),
            "best_exact_plan_over_best_peer_fp32": speedup(self.best_exact_plan, self.best_peer_fp32),
        }
        return self.names | {key: None if value is None else asdict(value) for key, value in ratios.items()}


def summarize(measured: Sequence[Measured]) -> Summary:
    """The best of those who were measured at one batch size."""
    return Summary(
        best_peer_fp32=_fastest(measured, lambda one: one.kind == "peer" and one.precision == "fp32"),
        best_peer=_fastest(measured, lambda one: one.kind == "peer"),
        best_plan=_fastest(measured, lambda one: one.kind == "plan" and (one.verdict.psnr_db or 0) >= WANTED_DB),
        best_exact_plan=_fastest(measured, lambda one: one.kind == "plan" and one.precision == "fp32"),
    )


def _fastest(measured: Sequence[Measured], is_wanted: Callable[[Measured], bool]) -> Measured | None:
    wanted = [one for one in measured if not one.verdict.wrong and is_wanted(one)]
    return max(wanted, key=lambda one: one.images_per_second.value, default=None)
