"""Times every system at one batch size: each at its best setting, images compared first, then turns in rounds."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from ganport_runtime.differences import Difference, compare
from numpy.typing import NDArray

from ganport_bench.baselines import TRANSFERS, ImageSession, Kind, Settings, SystemUnderTest
from ganport_bench.effort import Effort, OnStep
from ganport_bench.errors import BenchError
from ganport_bench.figures import EXACT_DB, FLOOR_DB, WANTED_DB
from ganport_bench.subject import Latents, Pixels
from ganport_bench.timing import Estimate, Seconds, System, Turns, interleave, is_wide, median, ratio, turns_of

BELOW_DB = 15.0  # that a single image may lie under what their mean must reach; quantized ones lay 11 dB below it
WIDE = 0.10  # the share of a value that its interval may be wide
MORE_ROUNDS = 4  # taken at once by those whose interval is too wide
WARMUP = 1  # rounds
# Before every turn. The threads of ONNX Runtime and OpenMP spin for a while after their work; in turns of 0.05 s
# without a pause OpenVINO, next in line, made two thirds of its images.
PAUSE_SECONDS = 0.03

Clock = Callable[[], float]


@dataclass(frozen=True)
class AccuracyCheck:
    """The difference from the reference, None where images cannot be compared, and why they are wrong, or empty."""

    difference: Difference | None
    wrong: str = ""

    @property
    def psnr_db(self) -> float | None:
        """The mean PSNR over the images, in dB."""
        return None if self.difference is None else self.difference.psnr_db_mean


@dataclass(frozen=True)
class ReferenceImages:
    """What images should be."""

    latents: Latents  # float32 [n, latent_dim]
    pixels: Pixels  # what the network makes of them in float64, uint8 [n, height, width, channels]

    def check(self, session: ImageSession, batch: int, images: int) -> AccuracyCheck:
        """Run the first `images` latents, at least one batch, `batch` at a time."""
        count = min(max(batch, images // batch * batch), len(self.latents) // batch * batch)
        made = [session.run(self.latents[at : at + batch]) for at in range(0, count, batch)]
        wanted = self.pixels[:batch]
        for part in made:
            if part.dtype != np.uint8 or part.shape != wanted.shape:
                return AccuracyCheck(None, f"{part.dtype} {part.shape} where {wanted.dtype} {wanted.shape} is wanted")
        difference = compare(np.concatenate(made), self.pixels[:count])
        floor = EXACT_DB if session.precision == "fp32" else FLOOR_DB
        is_right = difference.psnr_db_mean >= floor and difference.psnr_db_worst >= floor - BELOW_DB
        wanted_db = f"a mean of {floor:g} dB, the worst image {floor - BELOW_DB:g}"
        return AccuracyCheck(
            difference, "" if is_right else f"{difference}; {session.precision} must reach {wanted_db}"
        )


@dataclass(frozen=True)
class RoundTimes:
    """What a system's turns took."""

    seconds: Seconds  # of a call, float64 [rounds]
    # the number of each round, int64 [rounds]: systems are compared over the rounds that they share.
    rounds: NDArray[np.int64]

    def then(self, more: "RoundTimes") -> "RoundTimes":
        """These rounds, and later ones."""
        return RoundTimes(np.concatenate([self.seconds, more.seconds]), np.concatenate([self.rounds, more.rounds]))

    @property
    def is_wide(self) -> bool:
        """Whether the interval of its speed is too wide."""
        return is_wide(median(1 / self.seconds), WIDE)


@dataclass(frozen=True)
class Measured:
    """One system at one batch size."""

    name: str  # the system's
    kind: Kind  # `peer` or `plan`
    precision: str  # what it computed with
    batch: int  # images a call
    settings: Settings  # the best of `tried`
    tried: int  # how many settings were compared
    transfers: str  # what of copies to a device and back is timed, in words
    note: str  # what else there is to say
    check: AccuracyCheck  # of its images
    taken: RoundTimes  # seconds of a call, round by round
    calls: Seconds  # seconds of every single call, float64 [calls]
    is_wide: bool = False  # whether the interval was still too wide when time was over

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
    """All systems at one batch size, in the order in which they were given; `missing` has those that did not run."""

    batch: int
    measured: Sequence[Measured]
    missing: Mapping[str, str]


def compare_at(
    systems: Sequence[SystemUnderTest],
    batch: int,
    reference: ReferenceImages,
    effort: Effort,
    on_step: OnStep = lambda _: None,
    clock: Clock = time.monotonic,
) -> Comparison:
    """Choose every system's setting, then time them all in turns."""
    missing: dict[str, str] = {}
    with ExitStack() as open_sessions:
        chosen: list[ChosenSetting] = []
        for system in systems:
            on_step(f"batch {batch}: the best setting of {system.name}")
            try:
                one = choose(system, batch, reference, effort)
            except BenchError as error:
                missing[system.name] = str(error)
            else:
                open_sessions.callback(one.session.close)
                chosen.append(one)
        on_step(f"batch {batch}: {len(chosen)} systems in turns")
        measured = _measure(chosen, batch, reference, effort, clock) if chosen else []
    return Comparison(batch, measured, missing)


def _measure(
    chosen: Sequence["ChosenSetting"], batch: int, reference: ReferenceImages, effort: Effort, clock: Clock
) -> list[Measured]:
    checks = [reference.check(one.session, batch, effort.images) for one in chosen]
    z = reference.latents[:batch]
    turns = {one.system.name: turns_of(partial(one.session.run, z), effort.turn_seconds) for one in chosen}

    def all_measured(taken: Mapping[str, RoundTimes]) -> list[Measured]:
        return [
            _measured(one, check, batch, taken[one.system.name], turns[one.system.name])
            for one, check in zip(chosen, checks, strict=True)
        ]

    def best(taken: Mapping[str, RoundTimes]) -> list[str]:
        return [one.name for one in best_of(all_measured(taken)).values() if one is not None]

    return all_measured(take_rounds(turns, effort, best, clock))


def _measured(one: "ChosenSetting", check: AccuracyCheck, batch: int, taken: RoundTimes, turns: Turns) -> Measured:
    is_wide = taken.is_wide
    wide = f"its interval is wider than {WIDE:.0%} of it, after {len(taken.seconds)} rounds" if is_wide else ""
    return Measured(
        name=one.system.name,
        kind=one.system.kind,
        precision=one.session.precision,
        batch=batch,
        settings=one.settings,
        tried=one.tried,
        transfers=one.session.transfers,
        note="; ".join(dict.fromkeys(note for note in (one.session.note, *one.refused, wide) if note)),
        check=check,
        taken=taken,
        calls=turns.calls(WARMUP),
        is_wide=is_wide,
    )


@dataclass(frozen=True)
class ChosenSetting:
    """A system at its best setting, open."""

    system: SystemUnderTest  # which
    settings: Settings  # the best
    session: ImageSession  # of it; whoever holds this closes it
    check: AccuracyCheck  # of the images of all settings' first comparison
    tried: int  # how many settings ran
    refused: Sequence[str]  # why the others did not


def choose(system: SystemUnderTest, batch: int, reference: ReferenceImages, effort: Effort) -> ChosenSetting:
    """The fastest of the settings whose images are right, those of the wanted PSNR first; the others are closed.

    Raises BenchError: the system cannot run here, or none of its settings can be opened; says why.
    """
    if reason := system.refusal():
        raise BenchError(reason)
    opened: list[tuple[Settings, ImageSession, AccuracyCheck]] = []
    refused: list[str] = []
    with ExitStack() as sessions:
        for settings in system.settings(batch):
            try:
                session, check = _open_checked(system, settings, batch, reference, effort)
                sessions.callback(session.close)
                opened.append((settings, session, check))
            except Exception as error:  # whatever a library raises where it cannot
                refused.append(str(error).strip().partition("\n")[0] or type(error).__name__)
        if not opened:
            raise BenchError("; ".join(dict.fromkeys(refused)) or "it has no setting for this batch size")
        # Right before wrong, then at the wanted PSNR before below it; `False` comes first.
        ranks = [(bool(check.wrong), check.psnr_db is None or check.psnr_db < WANTED_DB) for *_, check in opened]
        seconds = _screen([session for _, session, _ in opened], reference.latents[:batch], effort)
        best = min(range(len(opened)), key=lambda index: (*ranks[index], seconds[index]))
        sessions.pop_all()
    for index, (_, session, _) in enumerate(opened):
        if index != best:
            session.close()
    settings, session, check = opened[best]
    return ChosenSetting(system, settings, session, check, len(opened), refused)


def _open_checked(
    system: SystemUnderTest, settings: Settings, batch: int, reference: ReferenceImages, effort: Effort
) -> tuple[ImageSession, AccuracyCheck]:
    session = system.open(settings, batch)
    try:
        return session, reference.check(session, batch, effort.screening_images)
    except BaseException:
        session.close()
        raise


def _screen(sessions: Sequence[ImageSession], z: Latents, effort: Effort) -> list[float]:
    if len(sessions) == 1:
        return [0.0]
    turns = {
        str(index): turns_of(partial(session.run, z), effort.screening_seconds)
        for index, session in enumerate(sessions)
    }
    taken = interleave(turns, rounds=effort.screening_rounds, pause=PAUSE_SECONDS)
    return [float(np.median(seconds)) for seconds in taken.values()]


def take_rounds(
    systems: Mapping[str, System],
    effort: Effort,
    best: Callable[[Mapping[str, RoundTimes]], Collection[str]],
    clock: Clock = time.monotonic,
) -> dict[str, RoundTimes]:
    """Rounds of all systems, then more of those whose interval is too wide and of the best, until time is over.

    The best are always among them, so drift of the machine meets both sides of a ratio alike.
    """
    end = clock() + effort.batch_seconds
    first = interleave(systems, rounds=effort.rounds, warmup=WARMUP, pause=PAUSE_SECONDS)

    def numbered(seconds: Seconds, number: int) -> RoundTimes:
        return RoundTimes(seconds, np.arange(number, number + len(seconds), dtype=np.int64))

    taken = {name: numbered(seconds, 0) for name, seconds in first.items()}
    count = effort.rounds
    while clock() < end and (wide := {name for name, one in taken.items() if one.is_wide}):
        names = wide.union(best(taken))
        among = {name: system for name, system in systems.items() if name in names}
        more = interleave(among, rounds=MORE_ROUNDS, warmup=0, pause=PAUSE_SECONDS, seed=count)
        taken |= {name: taken[name].then(numbered(seconds, count)) for name, seconds in more.items()}
        count += MORE_ROUNDS
    return taken


def speedup(plan: Measured | None, peer: Measured | None) -> Estimate | None:
    """How many times as fast a plan is, over the rounds that both took part in; None where one is missing."""
    if plan is None or peer is None:
        return None
    _, theirs, ours = np.intersect1d(peer.taken.rounds, plan.taken.rounds, assume_unique=True, return_indices=True)
    return ratio(peer.taken.seconds[theirs], plan.taken.seconds[ours])


def best_of(measured: Sequence[Measured]) -> dict[str, Measured | None]:
    """The fastest of each kind at one batch size whose images are right; None where there is none.

    Plans of any precision must reach the wanted PSNR; exact ones compute in float32.
    """

    def fastest(is_wanted: Callable[[Measured], bool]) -> Measured | None:
        wanted = [one for one in measured if not one.check.wrong and is_wanted(one)]
        return max(wanted, key=lambda one: one.images_per_second.value, default=None)

    return {
        "best_peer_fp32": fastest(lambda one: one.kind == "peer" and one.precision == "fp32"),
        "best_peer": fastest(lambda one: one.kind == "peer"),
        "best_plan": fastest(lambda one: one.kind == "plan" and (one.check.psnr_db or 0) >= WANTED_DB),
        "best_exact_plan": fastest(lambda one: one.kind == "plan" and one.precision == "fp32"),
    }
