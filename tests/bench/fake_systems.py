"""Systems of known duration and known images, in the place of libraries."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from ganport_bench.baselines import TRANSFERS, Kind, SystemUnderTest
from ganport_bench.ceilings import BatchFloor, Ceilings, Limits
from ganport_bench.comparison import AccuracyCheck, Measured, ReferenceImages, RoundTimes
from ganport_bench.graph_work import Demand
from ganport_bench.peaks import Bandwidth, Peak, StreamRate
from ganport_bench.subject import Latents, Pixels
from ganport_bench.timing import Estimate
from ganport_runtime.differences import compare

SHAPE = (4, 4, 3)
MULTIPLY_ADDS = 10**6


def right(z: Latents) -> Pixels:
    """Images that depend on their latents."""
    steps = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    return (100 + 20 * z[:, :1, np.newaxis, np.newaxis] + steps).clip(0, 255).astype(np.uint8)


def off_by(amount: int) -> Callable[[Latents], Pixels]:
    """Images whose every value is off: 48 dB for 1, 42 dB for 2, 36 dB for 4, 24 dB for 16."""
    return lambda z: right(z) + np.uint8(amount)


def reference(images: int = 32) -> ReferenceImages:
    """Of `right` images."""
    z = np.random.default_rng(0).standard_normal((images, 5)).astype(np.float32)
    return ReferenceImages(z, right(z))


@dataclass
class FakeSession:
    """Takes its time and makes its images."""

    seconds: float
    make: Callable[[Latents], Pixels] = right
    precision: str = "fp32"
    transfers: str = TRANSFERS["cpu"]
    note: str = ""
    is_closed: bool = False
    batches: set[int] = field(default_factory=set)

    def run(self, z: Latents) -> Pixels:
        assert not self.is_closed
        self.batches.add(len(z))
        time.sleep(self.seconds)
        return self.make(z)

    def close(self) -> None:
        self.is_closed = True


def system(
    name: str, sessions: Mapping[str, FakeSession | BaseException], *, kind: Kind = "peer", reason: str | None = None
) -> SystemUnderTest:
    """Its settings are the names of sessions; an exception in a session's place is what opening it raises."""

    def opened(settings: Mapping[str, str], _batch: int) -> FakeSession:
        session = sessions[settings["is"]]
        if isinstance(session, BaseException):
            raise session
        return session

    return SystemUnderTest(name, lambda: reason, lambda _batch: tuple({"is": one} for one in sessions), opened, kind)


def ceilings(batches: Sequence[int] = (1, 8, 64), **operations: float) -> Ceilings:
    """Of a processor with such peaks, by precision, and a memory that never bounds."""
    peaks = {precision: Peak(precision, _exactly(value), "somehow", {}, {}) for precision, value in operations.items()}
    limits = Limits(peaks, Bandwidth(StreamRate(_exactly(1e30), "somehow", {})))
    floors = {
        precision: {
            batch: BatchFloor(precision, batch, 2 * MULTIPLY_ADDS * batch / peak.operations_per_second.value, 0.0)
            for batch in batches
        }
        for precision, peak in peaks.items()
    }
    return Ceilings(Demand(MULTIPLY_ADDS, MULTIPLY_ADDS, 1, 4, 1, 1), {"cpu": limits}, {"cpu": floors})


def _exactly(value: float) -> Estimate:
    return Estimate(value, value, value)


def measured(
    name: str,
    seconds: Sequence[float],
    *,
    kind: Kind = "peer",
    precision: str = "fp32",
    batch: int = 64,
    make: Callable[[Latents], Pixels] = right,
    wrong: str = "",
    first_round: int = 0,
) -> Measured:
    """What a comparison would have found of one system: its seconds a call, round by round."""
    z = reference().latents
    taken = RoundTimes(np.array(seconds), np.arange(first_round, first_round + len(seconds)))
    check = AccuracyCheck(compare(make(z), right(z)), wrong)
    settings, calls = {"threads": "2"}, np.repeat(taken.seconds, 10)
    return Measured(name, kind, precision, batch, settings, 1, TRANSFERS["cpu"], "", check, taken, calls)
