"""What every plan of a bundle was measured to do on a machine: the record, its budget, and who wins by it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from ganport_runtime.buckets import BUCKETS
from ganport_runtime.checks import whole_number
from ganport_runtime.differences import Difference
from ganport_runtime.errors import BundleError, InputError
from ganport_runtime.fields import Fields
from ganport_runtime.text import shown

__all__ = ["Budget", "MeasuredPlan", "TuningRecord", "best_overall", "winners"]

FORMAT = 1
NEAR = 0.97  # of the fastest: as good
NEAR_ALONE = 0.95  # of the best over all buckets, by which others gain where they share the cores


@dataclass(frozen=True)
class Budget:
    """How far from the fp32 reference a plan's images may be.

    Args:
        min_psnr_db: the least mean PSNR over the images.
        max_worst: the largest difference of any pixel value, of 255; None: any.

    Raises:
        InputError: a figure that is no number or out of its range.
    """

    min_psnr_db: float = 35.0
    max_worst: int | None = None

    def __post_init__(self) -> None:
        least = self.min_psnr_db
        if isinstance(least, bool) or not isinstance(least, int | float) or not 0 <= least < float("inf"):
            raise InputError(f"min_psnr_db is {shown(least)}, wanted a number of dB, 0 or more")
        if self.max_worst is not None:
            whole_number("max_worst", self.max_worst, 0, 255)

    def keeps(self, plan: "MeasuredPlan") -> bool:
        """Whether a measured plan is within the budget."""
        is_close = self.max_worst is None or plan.largest_difference <= self.max_worst
        return plan.psnr_db_mean >= self.min_psnr_db and is_close

    def fault(self, found: Difference) -> str | None:
        """Why a plan whose images differ so is over the budget, or None."""
        if found.psnr_db_mean < self.min_psnr_db:
            return f"over the budget: {found}; wanted a mean PSNR of {self.min_psnr_db:g} dB or more"
        if self.max_worst is not None and found.largest_difference > self.max_worst:
            return f"over the budget: {found}; wanted a largest difference of {self.max_worst} at most"
        return None

    def __str__(self) -> str:
        worst = "" if self.max_worst is None else f" and a largest difference of {self.max_worst}"
        return f"a mean PSNR of {self.min_psnr_db:g} dB{worst}"


@dataclass(frozen=True)
class MeasuredPlan:
    """One plan and its figures on this machine.

    Attributes:
        entry: id of the variant or engine.
        backend: what runs it.
        device: on what.
        options: with what.
        precision: what really ran.
        images_per_second: by bucket; medians.
        psnr_db_mean: mean PSNR against the fp32 reference, of the images compared.
        psnr_db_worst: the lowest PSNR of one of them.
        largest_difference: of any pixel value, of 255.
        images: how many were compared.
        memory_mib: host memory that the plan added, or None where it could not be told.
    """

    entry: str
    backend: str
    device: str
    options: Mapping[str, str]
    precision: str
    images_per_second: Mapping[int, float]
    psnr_db_mean: float
    psnr_db_worst: float
    largest_difference: int
    images: int
    memory_mib: float | None = None

    @property
    def is_split(self) -> bool:
        """Whether it splits large batches over streams that run side by side."""
        return self.options.get("mode") == "throughput" or self.options.get("streams", "1") != "1"

    def latency_ms(self, bucket: int) -> float:
        """Milliseconds of one call at a bucket."""
        return bucket / self.images_per_second[bucket] * 1e3

    def to_json(self) -> dict[str, Any]:
        """The JSON object; buckets become text, and latencies are added for those who read it."""
        speeds = self.images_per_second
        document = asdict(self)
        document["images_per_second"] = {str(bucket): float(f"{speed:.6g}") for bucket, speed in speeds.items()}
        document["latency_ms"] = {str(bucket): round(self.latency_ms(bucket), 4) for bucket in speeds}
        return document

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it."""
        speeds = fields.fields("images_per_second")
        options = fields.fields("options")
        return cls(
            **{key: fields.text(key) for key in ("entry", "backend", "device", "precision")},
            options={key: options.text(key) for key in options.document},
            images_per_second={
                bucket: _speed(speeds, str(bucket)) for bucket in BUCKETS if str(bucket) in speeds.document
            },
            psnr_db_mean=fields.number("psnr_db_mean"),
            psnr_db_worst=fields.number("psnr_db_worst"),
            largest_difference=int(fields.number("largest_difference")),
            images=fields.integer("images"),
            memory_mib=None if fields.document.get("memory_mib") is None else fields.number("memory_mib"),
        )


@dataclass(frozen=True)
class TuningRecord:
    """What tuning remembers of one bundle on one machine.

    Attributes:
        digest: the bundle's.
        bundle: where it lay.
        role: which of its networks.
        created: when, ISO 8601 in UTC.
        budget: what every plan listed keeps.
        machine: what `fingerprint.machine` said.
        engines: what `fingerprint.engines` said.
        plans: every plan within the budget.
    """

    digest: str
    bundle: str
    role: str
    created: str
    budget: Budget
    machine: Mapping[str, Any]
    engines: Mapping[str, str]
    plans: tuple[MeasuredPlan, ...] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the record's file."""
        return {"format": FORMAT, **asdict(self), "plans": [plan.to_json() for plan in self.plans]}

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Read a parsed record.

        Raises:
            BundleError: it is of another format, or a field is missing or of the wrong kind.
        """
        fields = Fields(document)
        if fields.document.get("format") != FORMAT:
            raise BundleError(f"its format is not {FORMAT}")
        engines = fields.fields("engines")
        return cls(
            **{key: fields.text(key) for key in ("digest", "bundle", "role", "created")},
            budget=_budget(fields.fields("budget")),
            machine=fields.mapping("machine"),
            engines={key: engines.text(key) for key in engines.document},
            plans=tuple(MeasuredPlan.read(item) for item in fields.items("plans")),
        )


def winners(plans: Iterable[MeasuredPlan]) -> dict[int, tuple[MeasuredPlan, ...]]:
    """The plans measured at each bucket, best first; buckets at which nothing was measured are left out.

    Plans within 3 % of the fastest are as good as it, and come in the order of what they do over all buckets: a plan
    that serves several buckets is loaded once.
    """
    candidates = tuple(plans)
    measured = {bucket: [plan for plan in candidates if bucket in plan.images_per_second] for bucket in BUCKETS}
    fastest = _fastest(candidates)

    def rank(plan: MeasuredPlan, bucket: int) -> tuple[bool, float]:
        speed = plan.images_per_second[bucket]
        is_near = speed >= NEAR * fastest[bucket]
        return not is_near, -_overall(plan, fastest) if is_near else -speed

    return {bucket: tuple(sorted(measured[bucket], key=lambda plan: rank(plan, bucket))) for bucket in fastest}


def best_overall(plans: Iterable[MeasuredPlan]) -> tuple[MeasuredPlan, ...]:
    """The plans by what they do over all buckets, each bucket's speed a share of its fastest plan's; best first.

    Of those within 5 % of the best, the ones that split a batch over streams come first: where other threads take a
    core now and then, as in a server, they lose that time on one core, the others on all that wait for it.
    """
    candidates = tuple(plan for plan in plans if plan.images_per_second)
    fastest = _fastest(candidates)
    best = max((_overall(plan, fastest) for plan in candidates), default=0.0)

    def rank(plan: MeasuredPlan) -> tuple[bool, bool, float]:
        overall = _overall(plan, fastest)
        is_near = overall >= NEAR_ALONE * best
        return not is_near, is_near and not plan.is_split, -overall

    return tuple(sorted(candidates, key=rank))


def _fastest(plans: Iterable[MeasuredPlan]) -> dict[int, float]:
    """Images a second of the fastest plan at each bucket at which one was measured."""
    fastest: dict[int, float] = {}
    for plan in plans:
        for bucket, speed in plan.images_per_second.items():
            fastest[bucket] = max(speed, fastest.get(bucket, 0.0))
    return dict(sorted(fastest.items()))


def _overall(plan: MeasuredPlan, fastest: Mapping[int, float]) -> float:
    return sum(speed / fastest[bucket] for bucket, speed in plan.images_per_second.items())


def _speed(speeds: Fields, bucket: str) -> float:
    speed = speeds.number(bucket)
    if speed <= 0:
        speeds.refuse(bucket, "a number above 0")
    return speed


def _budget(fields: Fields) -> Budget:
    worst = fields.document.get("max_worst")
    try:
        return Budget(fields.number("min_psnr_db"), None if worst is None else int(fields.number("max_worst")))
    except InputError as error:
        raise BundleError(f"budget: {error}") from None
