"""Finds a contender's own best setting at a batch size: opened, compared with the reference, timed in turns."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ganport_bench.errors import BenchError
from ganport_bench.peers.protocol import Contender, Latents, Session, Settings
from ganport_bench.speed.effort import Effort
from ganport_bench.speed.judge import Judge, Verdict
from ganport_bench.timing import interleave, turns_of

__all__ = ["WANTED_DB", "Chosen", "choose"]

WANTED_DB = 38.0  # what the speeds that ganport promises are promised at


@dataclass(frozen=True)
class Chosen:
    """A contender at its best setting, open.

    Attributes:
        contender: who.
        settings: which.
        session: to be closed by whoever holds it.
        verdict: on the images of all settings' first comparison.
        tried: how many settings ran.
        refused: the settings that did not, each with its reason.
    """

    contender: Contender
    settings: Settings
    session: Session
    verdict: Verdict
    tried: int
    refused: Sequence[str]


def choose(contender: Contender, batch: int, judge: Judge, effort: Effort) -> Chosen:
    """The fastest of the settings whose images are right, those of the wanted PSNR first; the others are closed.

    Raises:
        BenchError: the contender cannot run here, or none of its settings can be opened; says why.
    """
    reason = contender.refusal()
    if reason is not None:
        raise BenchError(reason)
    opened, refused = _open(contender, batch, judge, effort)
    if not opened:
        raise BenchError("; ".join(dict.fromkeys(refused)) or "it has no setting for this batch size")
    try:
        seconds = _seconds(opened, judge.latents[:batch], effort)
    except BaseException:
        _close(opened)
        raise
    best = min(range(len(opened)), key=lambda index: (*_rank(opened[index][2]), seconds[index]))
    _close([one for index, one in enumerate(opened) if index != best])
    settings, session, verdict = opened[best]
    return Chosen(contender, settings, session, verdict, len(opened), refused)


Opened = tuple[Settings, Session, Verdict]


def _open(contender: Contender, batch: int, judge: Judge, effort: Effort) -> tuple[list[Opened], list[str]]:
    opened: list[Opened] = []
    refused: list[str] = []
    for settings in contender.settings(batch):
        try:
            session = contender.open(settings, batch)
            opened.append((settings, session, judge(session, batch, effort.screening_images)))
        except Exception as error:  # whatever a library raises where it cannot
            refused.append(_reason(error))
        except BaseException:
            _close(opened)
            raise
    return opened, refused


def _seconds(opened: Sequence[Opened], z: Latents, effort: Effort) -> list[float]:
    """The median seconds of a call, of each; one alone need not be timed."""
    if len(opened) == 1:
        return [0.0]
    turns = {
        str(index): turns_of(partial(session.run, z), effort.screening_seconds)
        for index, (_, session, _) in enumerate(opened)
    }
    taken = interleave(turns, rounds=effort.screening_rounds, pause=effort.pause_seconds)
    return [float(np.median(seconds)) for seconds in taken.values()]


def _rank(verdict: Verdict) -> tuple[bool, bool]:
    """Right before wrong, then at the wanted PSNR before below it; `False` comes first."""
    psnr = verdict.psnr_db
    return bool(verdict.wrong), psnr is None or psnr < WANTED_DB


def _close(opened: Sequence[Opened]) -> None:
    for _, session, _ in opened:
        session.close()


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
