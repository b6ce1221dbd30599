"""What was measured: one contender at one batch size, and everyone there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ganport_bench.peers.protocol import TRANSFERS, Kind, Settings
from ganport_bench.speed.judge import Verdict
from ganport_bench.speed.rounds import Taken, paired
from ganport_bench.timing import Estimate, Seconds, median, ratio

__all__ = ["Comparison", "Measured", "speedup"]


@dataclass(frozen=True)
class Measured:
    """One contender at one batch size.

    Attributes:
        name: the contender's.
        kind: `peer` or `plan`.
        precision: what it computed with.
        batch: images a call.
        settings: the best of `tried`.
        tried: how many settings were compared.
        transfers: what of copies to a device and back is timed, in words.
        note: what else there is to say.
        verdict: on its images.
        taken: seconds of a call, round by round.
        calls: seconds of every single call, float64 [calls].
        is_wide: whether the interval was still too wide when time was over.
    """

    name: str
    kind: Kind
    precision: str
    batch: int
    settings: Settings
    tried: int
    transfers: str
    note: str
    verdict: Verdict
    taken: Taken
    calls: Seconds
    is_wide: bool = False

    @property
    def device(self) -> str:
        """What computed: `cpu` or `cuda`."""
        return next(device for device, words in TRANSFERS.items() if words == self.transfers)

    @cached_property
    def images_per_second(self) -> Estimate:
        """The median over rounds and its interval."""
        return median(self.batch / self.taken.seconds)


@dataclass(frozen=True)
class Comparison:
    """Everyone at one batch size, in the order in which they were given.

    Attributes:
        batch: images a call.
        measured: who ran.
        missing: who did not, and why.
    """

    batch: int
    measured: Sequence[Measured]
    missing: Mapping[str, str]


def speedup(plan: Measured | None, peer: Measured | None) -> Estimate | None:
    """How many times as fast, over the rounds that both took part in; None where one is missing."""
    if plan is None or peer is None:
        return None
    theirs, ours = paired(peer.taken, plan.taken)
    return ratio(theirs, ours)
