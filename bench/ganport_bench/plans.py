"""ganport's own systems: every plan that a bundle offers here, and what `Generator.open` takes by itself."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from ganport_runtime import Bundle, Generator, Plan
from ganport_runtime.backends import BACKENDS, load_backend
from ganport_runtime.batches import BUCKETS, TOP, bucket_of
from ganport_runtime.manifest import Role
from ganport_runtime.opening import open_candidate
from ganport_runtime.plan import AUTO, DEVICES, Candidate, PlanRequest, refusal_of
from ganport_runtime.tuning.record import MeasuredPlan, TuningRecord

from ganport_bench.baselines import TRANSFERS, ImageSession, Settings, SystemUnderTest
from ganport_bench.subject import Latents, Pixels

ROLE: Role = "generator"
DEFAULTS = "with default options: tuning measured no others of it"


def candidates_of(bundle: Bundle) -> dict[str, Candidate]:
    """Every entry on every backend and device at every precision, by name, with the first options of that precision."""
    every = [
        Candidate(entry, name, device, options)
        for device in DEVICES
        for name in BACKENDS
        if device in load_backend(name).devices
        for entry in bundle.entries(ROLE)
        for options in reversed(load_backend(name).settings_to_try(entry, device))
    ]
    return {_name(candidate): candidate for candidate in every}


def _name(candidate: Candidate) -> str:
    precision = "" if candidate.precision == candidate.entry.precision else f" in {candidate.precision}"
    device = "" if candidate.device == "cpu" else f", {candidate.device}"
    return f"{candidate.entry.id}, {candidate.backend}{precision}{device}"


def plans_of(bundle: Bundle, record: TuningRecord | None = None) -> tuple[SystemUnderTest, ...]:
    """A system for every candidate, through the runtime as its users call it; options are its settings."""
    return tuple(
        SystemUnderTest(
            name,
            partial(refusal_of, candidate, PlanRequest()),
            partial(_settings, candidate, record),
            partial(_open, bundle, candidate, record),
            "plan",
        )
        for name, candidate in candidates_of(bundle).items()
    )


def as_opened(bundle: Path, precision: str = AUTO) -> SystemUnderTest:
    """`Generator.open`, told nothing or the precision alone; the plan of the batch size is in its note."""

    def opened(_settings: Settings, batch: int) -> ImageSession:
        generator = Generator.open(bundle, precision=precision)
        plan = generator.plans[_bucket(batch)]
        return PlanSession(generator, plan, str(plan))

    name = "ganport as opened" + ("" if precision == AUTO else f", {precision}")
    return SystemUnderTest(name, lambda: None, lambda _batch: ({},), opened, "plan")


class PlanSession:
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


def _settings(candidate: Candidate, record: TuningRecord | None, batch: int) -> tuple[Settings, ...]:
    """The options that tuning found to be the fastest, or else the default ones; without a record, all choices."""
    bucket = _bucket(batch)
    if measured := _measured(candidate, record, bucket):
        return (max(measured, key=lambda plan: plan.images_per_second[bucket]).options,)
    choices = load_backend(candidate.backend).settings_to_try(candidate.entry, candidate.device)
    mine = tuple(options for options in choices if _makes(candidate, options))
    return mine if record is None else mine[:1]


def _measured(candidate: Candidate, record: TuningRecord | None, bucket: int) -> list[MeasuredPlan]:
    this = (candidate.entry.id, candidate.backend, candidate.device)
    plans = [plan for plan in (record.plans if record else ()) if (plan.entry, plan.backend, plan.device) == this]
    return [plan for plan in plans if _makes(candidate, plan.options) and bucket in plan.images_per_second]


def _makes(candidate: Candidate, options: Settings) -> bool:
    return replace(candidate, options=options).precision == candidate.precision


def _open(
    bundle: Bundle, candidate: Candidate, record: TuningRecord | None, settings: Settings, batch: int
) -> ImageSession:
    running = open_candidate(bundle, ROLE, replace(candidate, options=settings), Generator.signature)
    note = DEFAULTS if record is not None and not _measured(candidate, record, _bucket(batch)) else ""
    return PlanSession(Generator(bundle, dict.fromkeys(BUCKETS, running)), running.plan, note)


def _bucket(batch: int) -> int:
    """The bucket that most of a batch runs in: what is larger than the top one runs in parts of it."""
    return bucket_of(min(batch, TOP))
