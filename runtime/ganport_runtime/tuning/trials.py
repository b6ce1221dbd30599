"""Tries plans: how near their images come to the reference, what memory they add, and how fast they are."""

import ctypes
import gc
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ganport_runtime import BundleError, Generator, PlanError
from ganport_runtime.backends import BACKENDS, load_backend
from ganport_runtime.batches import BUCKETS, TOP, parts
from ganport_runtime.bundle import Bundle
from ganport_runtime.differences import Difference, compare
from ganport_runtime.manifest import Role
from ganport_runtime.opening import Running, open_candidate
from ganport_runtime.plan import DEVICES, Candidate, PlanRequest, refusal_of
from ganport_runtime.tuning.record import Budget, MeasuredPlan
from ganport_runtime.tuning.timing import stopwatch

STATM = Path("/proc/self/statm")  # sizes in pages; the second is what is resident
LIKELY = ("int8", "bf16", "fp32", "fp16")  # precisions in the order in which a winner is likely; others come last
SLOW_SECONDS = 0.5
ROUNDING = 2  # of 255: what another batch size may change in a pixel without a word
MARGIN_DB = 6.0  # below the same few images at the top bucket: an int8 step taken the other way shows in one image
CALLS = 2  # timed calls at each bucket, after one that allocates and compiles
FIRST = (1, 8)  # the buckets at which a plan shows whether it is far behind: some are best at single images alone
FAR = 0.5  # of the fastest of its kind at all of them: dropped at once
CLOSE = 0.8  # of the fastest, at any bucket: measured again in turns with it
CONTENDERS, EXACT, SPECIALISTS = 4, 2, 2  # how many are: over all buckets, of fp32, and at one bucket alone


def resident_mib() -> float | None:
    """MiB of resident memory, or None where the system does not tell."""
    if not STATM.exists():
        return None
    gc.collect()
    with suppress(AttributeError, OSError):  # a C library other than glibc has none
        ctypes.CDLL(None).malloc_trim(0)
    return int(STATM.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@dataclass(frozen=True)
class Family:
    """Plans that differ in options alone, not in entry, backend, device or precision."""

    first: Candidate  # with the backend's default options
    others: tuple[Candidate, ...]  # with others worth measuring


@dataclass(frozen=True)
class RefusedPlan:
    """A plan that is not in the record, and why."""

    plan: str  # what people call it
    entry: str  # id of the variant or engine
    runner: str  # the backend, the device where that is not the CPU, and the options
    reason: str

    @classmethod
    def of(cls, candidate: Candidate, reason: str) -> Self:
        """A refused candidate."""
        return cls(str(candidate), candidate.entry.id, str(candidate).partition(" by ")[2], reason)


def families(bundle: Bundle, role: Role) -> tuple[list[Family], list[RefusedPlan]]:
    """What this machine can run, the likeliest winners first, and every entry and backend that it cannot, with why."""
    found: list[Family] = []
    refused: list[RefusedPlan] = []
    for device in DEVICES:
        for name in BACKENDS:
            if device not in load_backend(name).devices:
                continue
            for entry in bundle.entries(role):
                reason = refusal_of(Candidate(entry, name, device), PlanRequest())
                if reason is None:
                    choices = load_backend(name).settings_to_try(entry, device)
                    found += _families(Candidate(entry, name, device, options) for options in choices)
                else:
                    refused.append(RefusedPlan.of(Candidate(entry, name, device), reason))
    return sorted(found, key=lambda family: (*LIKELY, family.first.precision).index(family.first.precision)), refused


def _families(candidates: Iterator[Candidate]) -> Iterator[Family]:
    grouped: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        grouped.setdefault(candidate.precision, []).append(candidate)
    for first, *others in grouped.values():
        yield Family(first, tuple(others))


@dataclass(frozen=True)
class TuningReference:
    """What plans are compared with."""

    plan: Candidate  # the fp32 plan that made the images
    z: NDArray[np.float32]  # [n, latent_dim]; n is a multiple of the top bucket
    images: NDArray[np.uint8]  # [n, height, width, channels]


@dataclass(eq=False)  # two trials are never the same one
class PlanTrial:
    """One plan, open and running."""

    candidate: Candidate
    running: Running
    generator: Generator
    reference: TuningReference
    before_mib: float | None  # what the process held before; None where the system does not tell
    memory_mib: float | None = None  # host memory added since
    difference: Difference | None = None
    seconds: dict[int, float] = field(default_factory=dict)  # of one call, by bucket

    @property
    def extra_settings(self) -> int:
        """How many of its settings are not the backend's default."""
        entry, device = self.candidate.entry, self.candidate.device
        default, *_ = load_backend(self.candidate.backend).settings_to_try(entry, device)
        return len(set(self.candidate.options.items()) - set(default.items()))

    def call(self, bucket: int) -> Callable[[], object]:
        """What makes the images of one batch of a bucket."""
        z = self.reference.z[:bucket]
        return lambda: self.generator(z)

    def fault(self, budget: Budget) -> str | None:
        """Why its images are over the budget, all of them at the top bucket or some at another, or None.

        A bucket may have a compiled graph of its own, which may be broken alone. Its few images are held to the budget
        or, where these few are hard ones, to what they are at the top bucket.
        """
        images = self._all_images()
        self.difference = compare(images, self.reference.images)
        fault = budget.fault(self.difference)
        for bucket in BUCKETS:
            if fault is not None:
                return fault
            fault = self._fault_at(bucket, images[:bucket], budget)
        return fault

    def _fault_at(self, bucket: int, usual: NDArray[np.uint8], budget: Budget) -> str | None:
        """Why its images at one bucket are over the budget, or None; `usual` are the same at the top bucket."""
        images, wanted = self.generator(self.reference.z[:bucket]), self.reference.images[:bucket]
        if compare(images, usual).largest_difference <= ROUNDING:
            return None
        floor = min(budget.min_psnr_db, max(0.0, compare(usual, wanted).psnr_db_mean - MARGIN_DB))
        fault = replace(budget, min_psnr_db=floor).fault(compare(images, wanted))
        return None if fault is None else f"at batch {bucket} {fault}"

    def _all_images(self) -> NDArray[np.uint8]:
        """The images of the reference's latents; what a call at the top bucket took meanwhile is noted."""
        images, taken = [], []
        for part in parts(len(self.reference.z)):
            begun = time.perf_counter()
            images.append(self.generator(self.reference.z[part]))
            taken.append(time.perf_counter() - begun)
        self.seconds[TOP] = median(taken[1:] or taken)  # the first call allocates and compiles
        return np.concatenate(images)

    def time_roughly(self, buckets: Iterable[int]) -> None:
        """Note the median of a few calls in a row at each bucket, and the memory that the plan holds after them."""
        for bucket in buckets:
            call = stopwatch(self.call(bucket))
            calls = CALLS if call() < SLOW_SECONDS else 1
            self.seconds[bucket] = median(call() for _ in range(calls))
        after = resident_mib()
        if self.before_mib is not None and after is not None:
            self.memory_mib = max(0.0, after - self.before_mib)

    def images_per_second(self, bucket: int) -> float:
        """At a bucket that was timed."""
        return bucket / self.seconds[bucket]

    def measured(self) -> MeasuredPlan:
        """The figures, as the record keeps them; only once it was compared."""
        found = self.difference or compare(self._all_images(), self.reference.images)
        return MeasuredPlan(
            entry=self.candidate.entry.id,
            backend=self.candidate.backend,
            device=self.candidate.device,
            options=dict(self.candidate.options),
            precision=self.running.plan.precision,
            images_per_second={bucket: self.images_per_second(bucket) for bucket in BUCKETS if bucket in self.seconds},
            psnr_db_mean=round(found.psnr_db_mean, 3),
            psnr_db_worst=round(found.psnr_db_worst, 3),
            largest_difference=found.largest_difference,
            images=found.images,
            memory_mib=None if self.memory_mib is None else round(self.memory_mib, 1),
        )

    def close(self) -> None:
        """Let go of the plan's session."""
        self.generator.close()


def open_trial(bundle: Bundle, candidate: Candidate, reference: TuningReference) -> PlanTrial:
    """Open a plan, which passes the bundle's probe; PlanError or BundleError where it cannot."""
    before = resident_mib()
    running = open_candidate(bundle, "generator", candidate, Generator.signature)
    return PlanTrial(candidate, running, Generator(bundle, dict.fromkeys(BUCKETS, running)), reference, before)


class FieldOfTrials:
    """Tries candidates and keeps those that may be the best somewhere.

    `untuned` is the plan that runs without tuning; it is measured beside the fastest. The plan for all batch sizes is
    chosen by the buckets of the `goal`.
    """

    def __init__(
        self,
        bundle: Bundle,
        reference: TuningReference,
        budget: Budget,
        untuned: Candidate | None,
        goal: Sequence[int] = BUCKETS,
    ) -> None:
        self._bundle, self._reference, self._budget, self._untuned = bundle, reference, budget, untuned
        self.goal = goal
        self.open: list[PlanTrial] = []
        self.dropped: list[PlanTrial] = []
        self.refused: list[RefusedPlan] = []

    @property
    def plans(self) -> tuple[MeasuredPlan, ...]:
        """Every plan within the budget, with what was measured of it; the fastest at the top bucket first."""
        trials = sorted((*self.open, *self.dropped), key=lambda trial: trial.seconds[TOP])
        return tuple(trial.measured() for trial in trials)

    def try_out(self, candidate: Candidate) -> PlanTrial | None:
        """Open a candidate, check its images, time it roughly; None where it is refused or behind everywhere."""
        try:
            trial = open_trial(self._bundle, candidate, self._reference)
        except (PlanError, BundleError) as error:
            self.refuse(candidate, str(error))
            return None
        trial.time_roughly(FIRST)
        fault = self._far_behind(trial) or trial.fault(self._budget)
        if fault is not None:
            self.refuse(candidate, fault)
            trial.close()
            return None
        trial.time_roughly(bucket for bucket in BUCKETS if bucket not in trial.seconds)
        self.open.append(trial)
        self.keep([other for other in self.open if self._is_promising(other)])
        return trial if trial in self.open else None

    def refuse(self, candidate: Candidate, reason: str) -> None:
        """Note why a plan is out."""
        self.refused.append(RefusedPlan.of(candidate, reason))

    def finalists(self, bucket: int) -> list[PlanTrial]:
        """The plans to be measured against each other at a bucket.

        They are the fastest over all buckets that count, of all and of fp32, the untuned one, and the bucket's fastest.
        """
        own = self._close_to_fastest((bucket,), self.open, SPECIALISTS)
        untuned = [trial for trial in self.open if trial.candidate == self._untuned]
        if bucket not in self.goal:
            return list(dict.fromkeys((*own, *untuned)))
        everyone = self._close_to_fastest(self.goal, self.open, CONTENDERS)
        exact = self._close_to_fastest(self.goal, self._exact, EXACT)
        return list(dict.fromkeys((*everyone, *exact, *untuned, *own)))

    def keep(self, kept: Iterable[PlanTrial]) -> None:
        """Close every plan but these; their figures stay."""
        for trial in set(self.open) - set(kept):
            trial.close()
            self.open.remove(trial)
            self.dropped.append(trial)

    def close(self) -> None:
        """Close all."""
        for trial in self.open:
            trial.close()

    @property
    def _exact(self) -> list[PlanTrial]:
        return [trial for trial in self.open if _precision(trial) == "fp32"]

    def _is_promising(self, trial: PlanTrial) -> bool:
        return any(trial in self.finalists(bucket) for bucket in BUCKETS)

    def _close_to_fastest(self, buckets: Sequence[int], trials: list[PlanTrial], most: int) -> list[PlanTrial]:
        """The fastest over these buckets by their geometric mean, and those that are close to it."""

        def speed(trial: PlanTrial) -> float:
            return math.exp(-sum(math.log(trial.seconds[bucket]) for bucket in buckets) / len(buckets))

        speeds = {trial: speed(trial) for trial in trials}
        order = sorted(trials, key=lambda trial: -speeds[trial])
        return [trial for trial in order if speeds[trial] >= CLOSE * speeds[order[0]]][:most]

    def _far_behind(self, trial: PlanTrial) -> str | None:
        """That it is far slower than the fastest of its kind, or None.

        Callers may ask for a device, a backend and a precision, so that the fastest of each stays in the record.
        """
        rivals = [other for other in (*self.open, *self.dropped) if _kind(other) == _kind(trial)]
        if trial.candidate == self._untuned or not rivals:
            return None
        own = [trial.images_per_second(bucket) for bucket in FIRST]
        fastest = [max(other.images_per_second(bucket) for other in rivals) for bucket in FIRST]
        if any(speed >= FAR * best for speed, best in zip(own, fastest, strict=True)):
            return None
        return f"far behind: {_speeds(own)}; the fastest by {' '.join(_kind(trial))}: {_speeds(fastest)}"


def _kind(trial: PlanTrial) -> tuple[str, str, str]:
    """What callers may ask for."""
    return trial.candidate.backend, trial.candidate.device, _precision(trial)


def _speeds(images_per_second: Iterable[float]) -> str:
    measured = zip(FIRST, images_per_second, strict=True)
    return ", ".join(f"{speed:.0f} images/s at batch {bucket}" for bucket, speed in measured)


def _precision(trial: PlanTrial) -> str:
    return trial.running.plan.precision
