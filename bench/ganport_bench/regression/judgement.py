"""Tells a real change from noise: a ratio whose interval does not hold 1, and which is far enough from it."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ganport_bench.regression.documents import Figure
from ganport_bench.regression.noise import Noise

__all__ = ["THRESHOLD", "Change", "Verdict", "judge", "stated"]

Verdict = Literal["worse", "better", "same", "not judged"]
THRESHOLD = 0.03  # of the old value: a change that is real and smaller still breaks nobody's build


@dataclass(frozen=True)
class Change:
    """One thing, before and now.

    Attributes:
        what: is compared.
        old: figure, or None where there was none.
        new: figure, or None where there is none.
        verdict: `worse` is a regression.
        why: in words, where the numbers do not say it.
        ratio_low: of the interval of new over old; None where it was not judged.
        ratio_high: likewise.
    """

    what: str
    old: float | None
    new: float | None
    verdict: Verdict
    why: str = ""
    ratio_low: float | None = None
    ratio_high: float | None = None

    @property
    def ratio(self) -> float | None:
        """New over old."""
        return None if self.old is None or self.new is None or not self.old else self.new / self.old

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {**asdict(self), "ratio": self.ratio}


def judge(what: str, old: Figure, new: Figure, noise: Noise, *, more_is_better: bool, threshold: float) -> Change:
    """Compare two figures.

    Args:
        what: they are.
        old: before.
        new: now.
        noise: between the two runs.
        more_is_better: or else less.
        threshold: share of the old value that a change must exceed.
    """
    ratio = noise.ratio(old, new)
    is_large = abs(ratio.value - 1) > threshold
    verdict: Verdict = "same"
    if is_large and not ratio.low <= 1 <= ratio.high:
        verdict = "better" if (ratio.value > 1) == more_is_better else "worse"
    why = f"within the noise: {ratio.low:.2f} to {ratio.high:.2f}" if is_large and verdict == "same" else ""
    return Change(what, old.value, new.value, verdict, why, ratio.low, ratio.high)


def stated(what: str, old: float | None, new: float | None, why: str) -> Change:
    """What is shown and not judged."""
    return Change(what, old, new, "not judged", why)
