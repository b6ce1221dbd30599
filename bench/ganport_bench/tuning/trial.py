"""Tries one plan: how near its images come to the reference, what memory it adds, and about how fast it is."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np
from ganport_runtime import Generator
from ganport_runtime.buckets import BUCKETS, TOP, parts
from ganport_runtime.bundle import Bundle
from ganport_runtime.differences import Difference, compare
from ganport_runtime.opening import Running, open_candidate
from ganport_runtime.plan import Candidate
from ganport_runtime.tuning import Budget, MeasuredPlan
from numpy.typing import NDArray

from ganport_bench.timing import stopwatch
from ganport_bench.tuning.memory import resident_mib

__all__ = ["Reference", "Trial", "open_trial"]

SLOW_SECONDS = 0.5
ROUNDING = 2  # of 255: what another batch size may change in a pixel without a word
MARGIN_DB = 6.0  # below the same few images at the top bucket: an int8 step taken the other way shows in one image
CALLS = 2  # timed calls at each bucket, after one that allocates and compiles


@dataclass(frozen=True)
class Reference:
    """What plans are compared with.

    Attributes:
        plan: the fp32 plan that made the images.
        z: latents, float32 [n, latent_dim]; n is a multiple of the top bucket.
        images: of these latents, uint8 [n, height, width, channels].
    """

    plan: Candidate
    z: NDArray[np.float32]
    images: NDArray[np.uint8]


@dataclass(eq=False)  # two trials are never the same one
class Trial:
    """One plan, open and running.

    Attributes:
        candidate: what was asked for.
        running: what was made of it.
        generator: what runs it at every bucket.
        reference: what its images are compared with.
        before_mib: what the process held before it was opened, or None where the system does not tell.
        memory_mib: host memory that the plan has added since.
        difference: its images against the reference, once they were compared.
        seconds: of one call, by bucket.
    """

    candidate: Candidate
    running: Running
    generator: Generator
    reference: Reference
    before_mib: float | None
    memory_mib: float | None = None
    difference: Difference | None = None
    seconds: dict[int, float] = field(default_factory=dict)

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


def open_trial(bundle: Bundle, candidate: Candidate, reference: Reference) -> Trial:
    """Open a plan, which passes the bundle's probe.

    Raises:
        PlanError: it cannot run here, or fails the probe.
        BundleError: its file is altered or cannot be loaded.
    """
    before = resident_mib()
    running = open_candidate(bundle, "generator", candidate, Generator.signature)
    return Trial(candidate, running, Generator(bundle, dict.fromkeys(BUCKETS, running)), reference, before)
