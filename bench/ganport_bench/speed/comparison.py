"""Times every contender at one batch size in interleaved rounds, each at its own best setting."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial

from ganport_bench.errors import BenchError
from ganport_bench.peers.protocol import Contender
from ganport_bench.speed.effort import Effort
from ganport_bench.speed.judge import Judge, Verdict
from ganport_bench.speed.measured import Comparison, Measured
from ganport_bench.speed.rounds import WARMUP, Taken, take_rounds
from ganport_bench.speed.selection import Chosen, choose
from ganport_bench.speed.summary import summarize
from ganport_bench.timing import Turns, turns_of

__all__ = ["compare_at"]

Clock = Callable[[], float]


def compare_at(
    contenders: Sequence[Contender],
    batch: int,
    judge: Judge,
    effort: Effort,
    on_step: Callable[[str], None] = lambda _: None,
    clock: Clock = time.monotonic,
) -> Comparison:
    """Choose everyone's setting, then time them all in turns.

    Args:
        contenders: of different names.
        batch: images a call.
        judge: holds the reference.
        effort: how long.
        on_step: called with a few words before each step.
        clock: seconds, by which further rounds end.
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
        measured = _measure(chosen, batch, judge, effort, clock) if chosen else []
    return Comparison(batch, measured, missing)


def _measure(chosen: Sequence[Chosen], batch: int, judge: Judge, effort: Effort, clock: Clock) -> list[Measured]:
    verdicts = [judge(one.session, batch, effort.images) for one in chosen]
    z = judge.latents[:batch]
    turns = {one.contender.name: turns_of(partial(one.session.run, z), effort.turn_seconds) for one in chosen}

    def all_measured(taken: Mapping[str, Taken]) -> list[Measured]:
        return [
            _measured(one, verdict, batch, taken[one.contender.name], turns[one.contender.name], effort)
            for one, verdict in zip(chosen, verdicts, strict=True)
        ]

    def best(taken: Mapping[str, Taken]) -> list[str]:
        return [name for name in summarize(all_measured(taken)).names.values() if name is not None]

    return all_measured(take_rounds(turns, effort, best, clock))


def _measured(one: Chosen, verdict: Verdict, batch: int, taken: Taken, turns: Turns, effort: Effort) -> Measured:
    is_wide = taken.is_wide(effort.wide)
    wide = f"its interval is wider than {effort.wide:.0%} of it, after {len(taken.seconds)} rounds" if is_wide else ""
    notes = (one.session.note, *one.refused, wide)
    return Measured(
        name=one.contender.name,
        kind=one.contender.kind,
        precision=one.session.precision,
        batch=batch,
        settings=one.settings,
        tried=one.tried,
        transfers=one.session.transfers,
        note="; ".join(dict.fromkeys(note for note in notes if note)),
        verdict=verdict,
        taken=taken,
        calls=turns.calls(WARMUP),
        is_wide=is_wide,
    )
