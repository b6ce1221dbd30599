"""ganport's own systems: every plan that a bundle offers here, and what `Generator.open` takes by itself."""

from dataclasses import replace
from pathlib import Path

from ganport_runtime import Bundle, Generator, Plan
from ganport_runtime.backends import BACKENDS, load_backend
from ganport_runtime.batches import BUCKETS, TOP, bucket_of
from ganport_runtime.manifest import Role
from ganport_runtime.opening import open_candidate
from ganport_runtime.plan import AUTO, DEVICES, Candidate, Request, refusal_of
from ganport_runtime.tuning import MeasuredPlan, TuningRecord

from ganport_bench.baselines import TRANSFERS, ImageSession, Kind, Settings
from ganport_bench.subject import Latents, Pixels

ROLE: Role = "generator"
DEFAULTS = "with default options: tuning measured no others of it"


def plans_of(bundle: Bundle, record: TuningRecord | None = None) -> tuple["PlanSystem", ...]:
    """A system for every entry, backend, device and precision; options are its settings.

    Args:
        bundle: whose plans.
        record: what tuning found here, which spares trying every option again; a plan of which it says nothing (it
            was far slower than others, or there was no time for it) is measured with its default options alone.
    """
    first = {
        (entry.id, name, device, candidate.precision): candidate
        for device in DEVICES
        for name in BACKENDS
        if device in load_backend(name).devices
        for entry in bundle.entries(ROLE)
        for options in reversed(load_backend(name).choices(entry, device))
        for candidate in (Candidate(entry, name, device, options),)
    }
    return tuple(PlanSystem(bundle, candidate, record) for candidate in first.values())


class PlanSystem:
    """One entry of a bundle by one backend at one precision, through the runtime as its users call it.

    Attributes:
        candidate: the entry, the backend, the device, and options of the precision.
    """

    kind: Kind = "plan"

    def __init__(self, bundle: Bundle, candidate: Candidate, record: TuningRecord | None = None) -> None:
        self.name = f"{candidate.entry.id}, {candidate.backend}"
        if candidate.precision != candidate.entry.precision:
            self.name += f" in {candidate.precision}"
        if candidate.device != "cpu":
            self.name += f", {candidate.device}"
        self.candidate = candidate
        self._bundle, self._record = bundle, record

    def refusal(self) -> str | None:
        """Why this machine leaves it out, or None."""
        return refusal_of(self.candidate, Request())

    def settings(self, batch: int) -> tuple[Settings, ...]:
        """The options that tuning found to be the fastest, or else the default ones; without a record, all choices."""
        bucket = _bucket(batch)
        if measured := self._measured(bucket):
            return (max(measured, key=lambda plan: plan.images_per_second[bucket]).options,)
        choices = load_backend(self.candidate.backend).choices(self.candidate.entry, self.candidate.device)
        mine = tuple(options for options in choices if self._makes_this(options))
        return mine if self._record is None else mine[:1]

    def _measured(self, bucket: int) -> list[MeasuredPlan]:
        """What the record says of this entry, backend, device and precision at a bucket."""
        this = self.candidate
        return [
            plan
            for plan in (self._record.plans if self._record else ())
            if (plan.entry, plan.backend, plan.device) == (this.entry.id, this.backend, this.device)
            and self._makes_this(plan.options)
            and bucket in plan.images_per_second
        ]

    def _makes_this(self, options: Settings) -> bool:
        return replace(self.candidate, options=options).precision == self.candidate.precision

    def open(self, settings: Settings, batch: int) -> ImageSession:
        """Open the plan for every bucket."""
        candidate = replace(self.candidate, options=settings)
        running = open_candidate(self._bundle, ROLE, candidate, Generator.signature)
        note = DEFAULTS if self._record is not None and not self._measured(_bucket(batch)) else ""
        return GeneratorSession(Generator(self._bundle, dict.fromkeys(BUCKETS, running)), running.plan, note)


class AsOpened:
    """`Generator.open`, told nothing, or the precision alone."""

    kind: Kind = "plan"

    def __init__(self, bundle: Path, precision: str = AUTO) -> None:
        self.name = "ganport as opened" + ("" if precision == AUTO else f", {precision}")
        self._bundle, self._precision = bundle, precision

    def refusal(self) -> str | None:
        """None: opening says it."""
        return None

    def settings(self, batch: int) -> tuple[Settings, ...]:  # noqa: ARG002
        """None to choose: the tuning record has chosen."""
        return ({},)

    def open(self, settings: Settings, batch: int) -> ImageSession:  # noqa: ARG002
        """Open the bundle; the plan of this batch size is in the note."""
        generator = Generator.open(self._bundle, precision=self._precision)
        plan = generator.plans[_bucket(batch)]
        return GeneratorSession(generator, plan, str(plan))


class GeneratorSession:
    """A generator as users call it, by one plan."""

    def __init__(self, generator: Generator, plan: Plan, note: str) -> None:
        self.precision, self.transfers, self.note = plan.precision, TRANSFERS[plan.device], note
        self._generator = generator

    def run(self, z: Latents) -> Pixels:
        """Finished images; see `ImageSession`."""
        return self._generator(z)

    def close(self) -> None:
        """Close the generator."""
        self._generator.close()


def _bucket(batch: int) -> int:
    """The bucket that most of a batch runs in: what is larger than the top one runs in parts of it."""
    return bucket_of(min(batch, TOP))
