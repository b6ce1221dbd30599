"""Times every contender at one batch size in interleaved rounds, each at its own best setting."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial

from ganport_bench.errors import BenchError
from ganport_bench.peers.protocol import Contender, Kind, Settings
from ganport_bench.speed.effort import Effort
from ganport_bench.speed.judge import Judge, Verdict
from ganport_bench.speed.selection import Chosen, choose
from ganport_bench.timing import Estimate, Seconds, interleave, median, turns_of

__all__ = ["Comparison", "Measured", "compare_at"]

WARMUP = 1


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
        note: what else there is to say.
        verdict: on its images.
        seconds: of a call, float64 [rounds].
        calls: seconds of every single call, float64 [rounds * calls].
    """

    name: str
    kind: Kind
    precision: str
    batch: int
    settings: Settings
    tried: int
    note: str
    verdict: Verdict
    seconds: Seconds
    calls: Seconds

    @cached_property
    def images_per_second(self) -> Estimate:
        """The median over rounds and its interval."""
        return median(self.batch / self.seconds)


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


def compare_at(
    contenders: Sequence[Contender],
    batch: int,
    judge: Judge,
    effort: Effort,
    on_step: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Choose everyone's setting, then time them all in turns.

    Args:
        contenders: of different names.
        batch: images a call.
        judge: holds the reference.
        effort: how long.
        on_step: called with a few words before each step.
    """
    missing: dict[str, str] = {}
    with ExitStack() as open_sessions:
        chosen: list[Chosen] = []
        for contender in contenders:
            on_step(f"batch {batch}: the best setting of {contender.name}")
            try:
                one = choose(contender, batch, judge, effort)
            except BenchError as error:
                missing[contender.name] = str(error)
            else:
                open_sessions.callback(one.session.close)
                chosen.append(one)
        on_step(f"batch {batch}: {len(chosen)} systems in turns")
        measured = _measure(chosen, batch, judge, effort) if chosen else []
    return Comparison(batch, measured, missing)


def _measure(chosen: Sequence[Chosen], batch: int, judge: Judge, effort: Effort) -> list[Measured]:
    verdicts = [judge(one.session, batch, effort.images) for one in chosen]
    z = judge.latents[:batch]
    turns = {one.contender.name: turns_of(partial(one.session.run, z), effort.turn_seconds) for one in chosen}
    seconds = interleave(turns, rounds=effort.rounds, warmup=WARMUP, pause=effort.pause_seconds)
    return [
        Measured(
            name=one.contender.name,
            kind=one.contender.kind,
            precision=one.session.precision,
            batch=batch,
            settings=one.settings,
            tried=one.tried,
            note="; ".join(dict.fromkeys(text for text in (one.session.note, *one.refused) if text)),
            verdict=verdict,
            seconds=seconds[one.contender.name],
            calls=turns[one.contender.name].calls(WARMUP),
        )
        for one, verdict in zip(chosen, verdicts, strict=True)
    ]
