"""Contenders of known duration and known images, in the place of libraries."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from ganport_bench.ceilings import Bandwidth, Demand, Floor, Peak, Stream
from ganport_bench.peers.protocol import TRANSFERS, Kind, Latents, Pixels, Settings
from ganport_bench.speed.ceilings import Ceilings, Limits
from ganport_bench.speed.judge import Judge, Verdict
from ganport_bench.speed.measured import Measured
from ganport_bench.speed.rounds import Taken
from ganport_bench.timing import Estimate
from ganport_runtime.differences import compare

from tests.support.tiny_run import QUICKEST

__all__ = ["QUICKEST", "FakeContender", "FakeSession", "ceilings", "judge", "measured", "off_by", "right"]

SHAPE = (4, 4, 3)
MULTIPLY_ADDS = 10**6


def right(z: Latents) -> Pixels:
    """Images that depend on their latents."""
    steps = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    return (100 + 20 * z[:, :1, np.newaxis, np.newaxis] + steps).clip(0, 255).astype(np.uint8)


def off_by(amount: int) -> Callable[[Latents], Pixels]:
    """Images whose every value is off: 48 dB for 1, 42 dB for 2, 36 dB for 4, 24 dB for 16."""
    return lambda z: right(z) + np.uint8(amount)


def judge(images: int = 32) -> Judge:
    """Holds `right` images."""
    z = np.random.default_rng(0).standard_normal((images, 5)).astype(np.float32)
    return Judge(z, right(z))


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


@dataclass
class FakeContender:
    """Its settings are the names of sessions; an exception in a session's place is what opening it raises."""

    name: str
    sessions: Mapping[str, FakeSession | BaseException]
    kind: Kind = "peer"
    reason: str | None = None

    def refusal(self) -> str | None:
        return self.reason

    def settings(self, batch: int) -> tuple[Settings, ...]:
        return tuple({"is": name} for name in self.sessions)

    def open(self, settings: Settings, batch: int) -> FakeSession:
        session = self.sessions[settings["is"]]
        if isinstance(session, BaseException):
            raise session
        return session

    @property
    def opened(self) -> list[FakeSession]:
        return [session for session in self.sessions.values() if isinstance(session, FakeSession)]


def ceilings(batches: Sequence[int] = (1, 8, 64), **operations: float) -> Ceilings:
    """Of a processor with such peaks, by precision, and a memory that never bounds."""
    peaks = {precision: Peak(precision, _exactly(value), "somehow", {}, {}) for precision, value in operations.items()}
    limits = Limits(peaks, Bandwidth(Stream(_exactly(1e30), "somehow", {})))
    floors = {
        precision: {
            batch: Floor(precision, batch, 2 * MULTIPLY_ADDS * batch / peak.operations_per_second.value, 0.0)
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
    is_wide: bool = False,
) -> Measured:
    """What a comparison would have found of one contender: its seconds a call, round by round."""
    z = judge().latents
    taken = Taken(np.array(seconds), np.arange(first_round, first_round + len(seconds)))
    calls = np.repeat(taken.seconds, 10)
    verdict = Verdict(compare(make(z), right(z)), wrong)
    settings, transfers = {"threads": "2"}, TRANSFERS["cpu"]
    return Measured(name, kind, precision, batch, settings, 1, transfers, "", verdict, taken, calls, is_wide)
