"""Contenders of known duration and known images, in the place of libraries."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from ganport_bench.peers.protocol import Kind, Latents, Pixels, Settings
from ganport_bench.speed.comparison import Measured
from ganport_bench.speed.effort import Effort
from ganport_bench.speed.judge import Judge, Verdict
from ganport_runtime.differences import compare

SHAPE = (4, 4, 3)
QUICKEST = Effort(
    rounds=3, turn_seconds=0.01, screening_rounds=2, screening_seconds=0.01, tuning_seconds=5, pause_seconds=0.0,
    images=16, screening_images=8,
)  # fmt: skip


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


def measured(
    name: str,
    seconds: Sequence[float],
    *,
    kind: Kind = "peer",
    precision: str = "fp32",
    batch: int = 64,
    make: Callable[[Latents], Pixels] = right,
    wrong: str = "",
) -> Measured:
    """What a comparison would have found of one contender: its seconds a call, round by round."""
    z = judge().latents
    taken = np.array(seconds)
    verdict = Verdict(compare(make(z), right(z)), wrong)
    return Measured(name, kind, precision, batch, {"threads": "2"}, 1, "", verdict, taken, np.repeat(taken, 10))
