"""The tuning record: what every plan was measured to do on a machine, kept in the user's cache."""

import json
import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from ganport_runtime import machine
from ganport_runtime.backends import engine_versions, load_backend
from ganport_runtime.batches import BUCKETS, TOP, bucket_of
from ganport_runtime.bundle import Bundle
from ganport_runtime.differences import Difference
from ganport_runtime.errors import BundleError, InputError, shown, whole_number
from ganport_runtime.machine import cache_folder
from ganport_runtime.manifest import Fields, parse_json

FORMAT = 1
NEAR = 0.97  # of the best: as good


@dataclass(frozen=True)
class Budget:
    """How far from the fp32 reference a plan's images may be."""

    min_psnr_db: float = 35.0  # the mean over the images
    max_worst: int | None = None  # of any pixel value, of 255; None: any

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
    """One plan and its figures on this machine."""

    entry: str  # id of the variant or engine
    backend: str
    device: str
    options: Mapping[str, str]
    precision: str  # what really ran
    images_per_second: Mapping[int, float]  # by bucket; medians
    psnr_db_mean: float  # against the fp32 reference
    psnr_db_worst: float  # of one image
    largest_difference: int  # of any pixel value, of 255
    images: int  # how many were compared
    memory_mib: float | None = None  # host memory that the plan added; None: could not be told

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
class TunedChoice:
    """How the tuner chose the plan for all batch sizes.

    Where `certain` is false, the plan with the fewest settings was chosen among those that may be the fastest.
    """

    for_batch: int | None  # None: all buckets
    runner_up: str  # the best of the other plans, or empty
    lead: float  # images/s over the runner-up's: median of the rounds' ratios, geometric mean over the buckets
    low: float  # to `high`: the interval of that median
    high: float
    rounds: int  # in which both had their turn; 0: rough figures alone
    certain: bool  # the interval lies above 1, or there is no other plan

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it."""
        document = fields.document
        return cls(
            for_batch=None if document.get("for_batch") is None else fields.integer("for_batch"),
            runner_up=str(document.get("runner_up", "")),
            **{key: fields.number(key) for key in ("lead", "low", "high")},
            rounds=int(fields.number("rounds")),
            certain=document.get("certain") is True,
        )


@dataclass(frozen=True)
class TuningRecord:
    """What tuning remembers of one bundle on one machine."""

    digest: str  # the bundle's
    bundle: str  # where it was
    role: str
    created: str  # ISO 8601 in UTC
    budget: Budget
    machine: Mapping[str, Any]  # what `machine.facts` said
    engines: Mapping[str, str]  # what `engine_versions` said
    plans: tuple[MeasuredPlan, ...] = field(
        default_factory=tuple
    )  # within the budget; the chosen one first where there is a `choice`
    choice: TunedChoice | None = None  # None in records of older versions

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the record's file."""
        return {"format": FORMAT, **asdict(self), "plans": [plan.to_json() for plan in self.plans]}

    @classmethod
    def from_json(cls, document: object) -> Self:
        """Read a parsed record; BundleError where it is of another format or a field is wrong."""
        fields = Fields(document)
        if fields.document.get("format") != FORMAT:
            raise BundleError(f"its format is not {FORMAT}")
        engines, choice = fields.fields("engines"), fields.optional("choice")
        return cls(
            **{key: fields.text(key) for key in ("digest", "bundle", "role", "created")},
            budget=_budget(fields.fields("budget")),
            machine=fields.mapping("machine"),
            engines={key: engines.text(key) for key in engines.document},
            plans=tuple(MeasuredPlan.read(item) for item in fields.items("plans")),
            choice=None if choice is None else TunedChoice.read(choice),
        )

    def ranked(self, plans: Iterable[MeasuredPlan]) -> tuple[MeasuredPlan, ...]:
        """Some of its plans by what they do over all buckets, or at the one that was named; the chosen one first."""
        order = best_overall(plans, None if self.choice is None else self.choice.for_batch)
        chosen = self.plans[:1] if self.choice is not None else ()
        return tuple(sorted(order, key=lambda plan: plan not in chosen))

    def changes(self, plan: MeasuredPlan) -> tuple[str, ...]:
        """What one of its plans depends on and has changed: processor, cores, its backend's packages, for a GPU GPUs.

        An engine that the plan does not use may come, go, or be upgraded.
        """
        packages = [package.name for package in load_backend(plan.backend).packages]
        before = {name: self.engines[name] for name in packages if name in self.engines}
        here = machine.processor() if plan.device == "cpu" else machine.facts()
        of_machine = {key: value for key, value in self.machine.items() if key in here}
        return machine.changes({**of_machine, **before}, {**here, **engine_versions((plan.backend,))})


def winners(plans: Iterable[MeasuredPlan]) -> dict[int, tuple[MeasuredPlan, ...]]:
    """The plans measured at each bucket, best first; buckets at which nothing was measured are left out.

    Plans within 3 % of the fastest are as good as it, and come in the order of what they do over all buckets: a plan
    that serves several buckets is loaded once.
    """
    candidates = tuple(plans)
    fastest = _fastest(candidates)

    def rank(plan: MeasuredPlan, bucket: int) -> tuple[bool, float]:
        speed = plan.images_per_second[bucket]
        is_near = speed >= NEAR * fastest[bucket]
        return not is_near, -_overall(plan, fastest) if is_near else -speed

    measured = {bucket: [plan for plan in candidates if bucket in plan.images_per_second] for bucket in fastest}
    return {bucket: tuple(sorted(found, key=lambda plan: rank(plan, bucket))) for bucket, found in measured.items()}


def best_overall(plans: Iterable[MeasuredPlan], for_batch: int | None = None) -> tuple[MeasuredPlan, ...]:
    """The plans by what they do over all buckets, or at the bucket of one batch size; best first.

    What counts is the geometric mean of a plan's images/s relative to each bucket's best. Plans within 3 % of the best
    are as good, and those with fewer settings come first. Plans that were not measured at every bucket come last.
    """
    buckets = BUCKETS if for_batch is None else (bucket_of(min(for_batch, TOP)),)
    candidates = [plan for plan in plans if plan.images_per_second]
    fastest = {bucket: speed for bucket, speed in _fastest(candidates).items() if bucket in buckets}
    complete = [plan for plan in candidates if fastest.keys() <= plan.images_per_second.keys()]
    best = max((_overall(plan, fastest) for plan in complete), default=0.0)

    def rank(plan: MeasuredPlan) -> tuple[bool, bool, int, float]:
        overall = _overall(plan, fastest)
        is_near = overall >= NEAR * best
        return plan not in complete, not is_near, len(plan.options) if is_near else 0, -overall

    return tuple(sorted(candidates, key=rank))


def _fastest(plans: Iterable[MeasuredPlan]) -> dict[int, float]:
    """Images a second of the fastest plan at each bucket at which one was measured."""
    fastest: dict[int, float] = {}
    for plan in plans:
        for bucket, speed in plan.images_per_second.items():
            fastest[bucket] = max(speed, fastest.get(bucket, 0.0))
    return dict(sorted(fastest.items()))


def _overall(plan: MeasuredPlan, fastest: Mapping[int, float]) -> float:
    """The geometric mean of the plan's speeds as shares of each bucket's best; 0 where it was measured at none."""
    shares = [speed / fastest[bucket] for bucket, speed in plan.images_per_second.items() if bucket in fastest]
    return math.exp(sum(map(math.log, shares)) / len(shares)) if shares else 0.0


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


def tuning_folder() -> Path:
    """Where the records are; OSError without a home directory."""
    return cache_folder() / "tuning"


def record_name(bundle: Bundle, role: str, machine: Mapping[str, Any]) -> str:
    """The file's name: the role, what the bundle holds, where it lies, and the machine."""
    return f"{_prefix(bundle, role)}-{_place(bundle)}-{_short(json.dumps(machine, sort_keys=True))}.json"


def save(record: TuningRecord, bundle: Bundle) -> Path:
    """Write a record in the place of older ones of the same bundle and machine, and return its file; or OSError."""
    file = tuning_folder() / record_name(bundle, record.role, record.machine)
    from ganport_runtime.atomic import write_bytes  # opening a bundle writes no record

    write_bytes(file, json.dumps(record.to_json(), indent=1, allow_nan=False).encode())
    for old in file.parent.glob(f"{record.role}-*-{'-'.join(file.stem.split('-')[2:])}.json"):
        if old != file:  # of what lay at the same place before it was exported again
            old.unlink(missing_ok=True)
    return file


def find_record(bundle: Bundle, role: str, machine: Callable[[], Mapping[str, Any]]) -> TuningRecord | str | None:
    """The record that was made of this bundle on this machine, why there is none that applies, or None.

    That of the bundle's own place comes before those of its copies, that of this machine before others, a newer one
    before an older one; damaged ones are left aside while an intact one remains. Where nothing was ever tuned this
    costs one listing of a folder.
    """
    try:
        folder = tuning_folder()
        names = [file.name for file in folder.iterdir()]
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"the tuning records cannot be read ({error})"
    own = [name for name in names if name.startswith(f"{_prefix(bundle, role)}-")]
    if own:
        exact = record_name(bundle, role, here := machine())
        ending = f"-{_short(json.dumps(here, sort_keys=True))}.json"
        own.sort(key=lambda name: (name == exact, name.endswith(ending), _modified(folder / name)), reverse=True)
        read = [_read(folder / name, bundle, role) for name in own]
        return next((record for record in read if isinstance(record, TuningRecord)), read[0])
    place = _place(bundle)
    if any(name.startswith(f"{role}-") and name.split("-")[2:3] == [place] for name in names):
        return "the bundle was changed since it was tuned"
    return None


def _read(file: Path, bundle: Bundle, role: str) -> TuningRecord | str:
    try:
        record = TuningRecord.from_json(parse_json(file.read_bytes()))
    except (OSError, BundleError) as error:
        return f"the tuning record {file} is damaged: {error}"
    if (record.digest, record.role) != (bundle.digest, role):
        return f"the tuning record {file} is damaged: its content is that of another bundle or network"
    return record


def _modified(file: Path) -> float:
    try:
        return file.lstat().st_mtime
    except OSError:  # removed since the folder was listed
        return 0.0


def _prefix(bundle: Bundle, role: str) -> str:
    return f"{role}-{bundle.digest[:16]}"


def _place(bundle: Bundle) -> str:
    return _short(os.path.realpath(bundle.path))


def _short(text: str) -> str:
    return sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
