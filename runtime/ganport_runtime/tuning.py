"""The tuning record: what every plan of a bundle was measured to do on this machine, kept in the user's cache."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from ganport_runtime.buckets import BUCKETS
from ganport_runtime.bundle import Bundle
from ganport_runtime.cache import cache_folder, write_whole
from ganport_runtime.differences import Difference
from ganport_runtime.errors import BundleError
from ganport_runtime.fields import Fields, parse_json

__all__ = ["Budget", "MeasuredPlan", "TuningRecord", "find_record", "record_name", "save", "tuning_folder", "winners"]

FORMAT = 1
NEAR = 0.97  # of the fastest: as good


@dataclass(frozen=True)
class Budget:
    """How far from the fp32 reference a plan's images may be.

    Args:
        min_psnr_db: the least mean PSNR over the images.
        max_worst: the largest difference of any pixel value, of 255; None: any.
    """

    min_psnr_db: float = 35.0
    max_worst: int | None = None

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

    def latency_ms(self, bucket: int) -> float:
        """Milliseconds of one call at a bucket."""
        return bucket / self.images_per_second[bucket] * 1e3

    def to_json(self) -> dict[str, Any]:
        """The JSON object; buckets become text, and latencies are added for those who read it."""
        speeds = self.images_per_second
        document = asdict(self)
        document["images_per_second"] = {str(bucket): round(speed, 3) for bucket, speed in speeds.items()}
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
                bucket: speeds.number(str(bucket)) for bucket in BUCKETS if str(bucket) in speeds.document
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
        budget = fields.fields("budget")
        worst = budget.document.get("max_worst")
        return cls(
            **{key: fields.text(key) for key in ("digest", "bundle", "role", "created")},
            budget=Budget(budget.number("min_psnr_db"), None if worst is None else int(budget.number("max_worst"))),
            machine=fields.mapping("machine"),
            engines=fields.mapping("engines"),
            plans=tuple(MeasuredPlan.read(item) for item in fields.items("plans")),
        )


def winners(plans: Iterable[MeasuredPlan]) -> dict[int, tuple[MeasuredPlan, ...]]:
    """The plans measured at each bucket, best first; buckets at which nothing was measured are left out.

    Plans within 3 % of the fastest are as good as it, and come in the order of what they do over all buckets: a plan
    that serves several buckets is loaded once.
    """
    candidates = tuple(plans)
    measured = {bucket: [plan for plan in candidates if bucket in plan.images_per_second] for bucket in BUCKETS}
    fastest = {
        bucket: max(plan.images_per_second[bucket] for plan in there) for bucket, there in measured.items() if there
    }

    def overall(plan: MeasuredPlan) -> float:
        return sum(speed / fastest[bucket] for bucket, speed in plan.images_per_second.items())

    def rank(plan: MeasuredPlan, bucket: int) -> tuple[bool, float]:
        speed = plan.images_per_second[bucket]
        is_near = speed >= NEAR * fastest[bucket]
        return not is_near, -overall(plan) if is_near else -speed

    return {bucket: tuple(sorted(measured[bucket], key=lambda plan: rank(plan, bucket))) for bucket in fastest}


def tuning_folder() -> Path:
    """Where the records are.

    Raises:
        OSError: there is no home directory.
    """
    return cache_folder() / "tuning"


def record_name(bundle: Bundle, role: str, machine: Mapping[str, Any]) -> str:
    """The file's name: the role, what the bundle holds, where it lies, and the machine."""
    return f"{_prefix(bundle, role)}-{_place(bundle)}-{_short(json.dumps(machine, sort_keys=True))}.json"


def save(record: TuningRecord, bundle: Bundle) -> Path:
    """Write a record in the place of older ones of the same bundle on the same machine, and return its file.

    Raises:
        OSError: the cache folder cannot be written.
    """
    file = tuning_folder() / record_name(bundle, record.role, record.machine)
    write_whole(file, json.dumps(record.to_json(), indent=1, allow_nan=False).encode())
    for old in file.parent.glob(f"{record.role}-*-{'-'.join(file.stem.split('-')[2:])}.json"):
        if old != file:  # of what lay at the same place before it was exported again
            old.unlink(missing_ok=True)
    return file


def find_record(bundle: Bundle, role: str, machine: Callable[[], Mapping[str, Any]]) -> TuningRecord | str | None:
    """The record that was made of this bundle on this machine, why there is none that applies, or None.

    Where nothing was ever tuned this costs one listing of a folder.
    """
    try:
        folder = tuning_folder()
        names = [file.name for file in folder.iterdir()]
    except OSError:
        return None
    own = [name for name in names if name.startswith(f"{_prefix(bundle, role)}-")]
    if own:
        ending = f"-{_short(json.dumps(machine(), sort_keys=True))}.json"
        here = [name for name in own if name.endswith(ending)]
        return _read_newest(folder, here or own)
    place = _place(bundle)
    if any(name.startswith(f"{role}-") and name.split("-")[2:3] == [place] for name in names):
        return "the bundle was changed since it was tuned"
    return None


def _read_newest(folder: Path, names: Iterable[str]) -> TuningRecord | str:
    file = max((folder / name for name in names), key=os.path.getmtime)
    try:
        return TuningRecord.from_json(parse_json(file.read_bytes()))
    except (OSError, BundleError) as error:
        return f"the tuning record {file} is damaged: {error}"


def _prefix(bundle: Bundle, role: str) -> str:
    return f"{role}-{bundle.digest[:16]}"


def _place(bundle: Bundle) -> str:
    return _short(os.path.realpath(bundle.path))


def _short(text: str) -> str:
    return sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
