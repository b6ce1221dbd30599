"""Tells a real change from noise: two figures whose intervals lie apart, and far enough."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ganport_bench.regression.documents import Figure

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
    """

    what: str
    old: float | None
    new: float | None
    verdict: Verdict
    why: str = ""

    @property
    def ratio(self) -> float | None:
        """New over old."""
        return None if self.old is None or self.new is None else self.new / self.old

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {**asdict(self), "ratio": self.ratio}


def judge(what: str, old: Figure, new: Figure, *, more_is_better: bool, threshold: float = THRESHOLD) -> Change:
    """Compare two figures.

    The change is real where their intervals do not touch and it is larger than the threshold. Intervals of 95 % that do
    not touch are more than 95 % certain: of two equal systems, about one pair in 180 is told apart by chance alone.
    """
    verdict: Verdict = "same"
    if abs(new.value / old.value - 1) > threshold:
        if new.high < old.low:
            verdict = "worse" if more_is_better else "better"
        elif new.low > old.high:
            verdict = "better" if more_is_better else "worse"
    why = "" if verdict != "same" else _touching(old, new, threshold)
    return Change(what, old.value, new.value, verdict, why)


def stated(what: str, old: float | None, new: float | None, why: str) -> Change:
    """What is shown and not judged."""
    return Change(what, old, new, "not judged", why)


def _touching(old: Figure, new: Figure, threshold: float) -> str:
    if abs(new.value / old.value - 1) <= threshold:
        return ""
    return f"within the intervals: {old.low:,.4g} to {old.high:,.4g} before, {new.low:,.4g} to {new.high:,.4g} now"
