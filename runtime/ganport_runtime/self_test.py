"""The self-test: a plan must make the pixels of the bundle's probe when it is first loaded on a machine."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from ganport_runtime import machine
from ganport_runtime.backends import Session
from ganport_runtime.batches import run_batch
from ganport_runtime.bundle import Bundle
from ganport_runtime.differences import Difference, compare
from ganport_runtime.errors import BundleError, PlanError, one_line
from ganport_runtime.machine import cache_folder
from ganport_runtime.manifest import Manifest, Role

MAX_BYTES = 256 * 2**20  # what a damaged or hostile archive may unpack to
REMEDY = "copy the bundle again or export it again"
MARGIN_DB = 6.0  # below what the variant's fidelity promises: other processors round elsewhere, errors are larger
PROMISED = ("fp16", "int8")  # precisions of the variants themselves, which their fidelity speaks of
LOGIT_TOLERANCES = {"fp32": 2e-3, "fp16": 5e-2, "bf16": 1e-1, "int8": 2.5e-1}  # of the largest logit, or of 1


@dataclass(frozen=True)
class ProbeData:
    """What the probe's file holds."""

    z: NDArray[np.float32]  # [n, latent_dim]
    image: NDArray[np.uint8]  # the float64 network's pixels, [n, height, width, channels]
    logit: NDArray[np.float32] | None  # the float64 discriminator's, [n]; None without a discriminator


def read_probe(bundle: Bundle) -> ProbeData | None:
    """The probe of a bundle, or None where it has none; BundleError where it is altered or malformed."""
    probe = bundle.manifest.probe
    if probe is None:
        return None
    data = bundle.read(probe)
    try:
        return _parse(data, probe.images, bundle.manifest)
    except Exception as error:  # a damaged archive makes zipfile, zlib and numpy raise whatever it leads them to
        raise BundleError(f"{bundle.path / probe.file} is damaged: {one_line(str(error))}; {REMEDY}") from None


def _parse(data: bytes, images: int, manifest: Manifest) -> ProbeData:
    with ZipFile(io.BytesIO(data)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_BYTES} bytes")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    info = manifest.generator
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {
        "z": ("float32", (images, info.latent.dim)),
        "image": ("uint8", (images, *info.image.shape)),
        "logit": ("float32", (images,)),
    }
    for name, array in arrays.items():
        _check(name, array, *wanted[name])
    return ProbeData(arrays["z"], arrays["image"], arrays.get("logit"))


def _check(name: str, array: NDArray[np.generic], dtype: str, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{name} is {array.dtype} {list(array.shape)}, wanted {dtype} {list(shape)}")
    if dtype == "float32" and not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity")


@dataclass(frozen=True)
class Tolerance:
    """The least that a plan's images must keep to: PSNRs in dB, and the largest difference of 255, if any."""

    psnr_db_mean: float
    psnr_db_worst: float
    largest_difference: int = 255


# For a plan whose variant promises nothing. fp32 is held to rounding alone; a wrong layout, a missing layer, silent
# zeros or a saturating multiplication leave 5 to 22 dB, so that the others need not be near what they reach.
FLOORS = {
    "fp32": Tolerance(50, 50, largest_difference=2),
    "fp16": Tolerance(40, 34),
    "bf16": Tolerance(30, 24),
    "int8": Tolerance(28, 22),
}


@dataclass(frozen=True)
class Subject:
    """The plan that is tried."""

    bundle: Bundle
    role: Role
    fidelity: Mapping[str, Any]  # what the variant promises against the fp32 reference; may be empty
    session: Session
    facts: Mapping[str, Any]  # all that names the plan: entry, backend, its version, device, options, threads


def probe(subject: Subject, bucket: int | None = None) -> str:
    """See that a plan makes of the probe what it must (else PlanError), unless it has passed on this machine before.

    A session that holds a model, a profile or a graph for each bucket is tried at that bucket's largest and smallest
    batch; `bucket` None: at the probe's own size. Returns what there is to say: nothing where it passed and that is
    remembered.
    """
    if subject.bundle.manifest.probe is None:
        return "the bundle has no probe, so its images were compared with nothing here"
    if bucket is not None:
        subject = replace(subject, facts={**subject.facts, "bucket": bucket})
    passed, reason = _passed_file(subject)
    if passed is not None and passed.exists():
        return ""
    data = read_probe(subject.bundle)
    if data is None or (subject.role == "discriminator" and data.logit is None):
        return "the bundle's probe has no logits, so its own were compared with nothing here"
    for size in _sizes(subject.session, bucket):
        fault = _fault(subject, _resized(data, size))
        if fault is not None:
            where = "" if size is None else f" at batch {size}"
            raise PlanError(f"it fails the bundle's probe{where}: {fault}")
    return reason if passed is None else _remember(passed, subject)


def image_fault(found: Difference, precision: str, fidelity: Mapping[str, Any]) -> str | None:
    """Why images so far from the probe's are refused, or None; `fidelity` is what the variant promises."""
    floor = FLOORS.get(precision, FLOORS["fp32"])
    if precision in PROMISED and {"psnr_db_mean", "psnr_db_worst"} <= fidelity.keys():
        floor = Tolerance(fidelity["psnr_db_mean"] - MARGIN_DB, fidelity["psnr_db_worst"] - MARGIN_DB)
    if (
        found.psnr_db_mean >= floor.psnr_db_mean
        and found.psnr_db_worst >= floor.psnr_db_worst
        and found.largest_difference <= floor.largest_difference
    ):
        return None
    worst = "" if floor.largest_difference == 255 else f", largest difference {floor.largest_difference}"
    least = f"mean {floor.psnr_db_mean:.1f} dB, worst {floor.psnr_db_worst:.1f} dB{worst}"
    return f"{found} over {found.images} images, wanted {least} of {precision}"


def logit_fault(error: float, precision: str) -> str | None:
    """Why logits so far from the probe's, relative to the largest of them or to 1, are refused, or None."""
    limit = LOGIT_TOLERANCES.get(precision, LOGIT_TOLERANCES["fp32"])
    if error <= limit:
        return None
    return f"logits differ by {error:.2g} of the largest, wanted {limit:g} at most of {precision}"


def _sizes(session: Session, bucket: int | None) -> tuple[int | None, ...]:
    """The batches to try: a session that pads sees a bucket's largest alone, others take the rest by another model."""
    if bucket is None or session.pads_to_bucket:
        return (bucket,)
    return tuple(dict.fromkeys((bucket, bucket // 2 + 1)))


def _resized(data: ProbeData, size: int | None) -> ProbeData:
    if size is None:
        return data
    rows = np.arange(size) % len(data.z)
    return ProbeData(data.z[rows], data.image[rows], None if data.logit is None else data.logit[rows])


def _fault(subject: Subject, data: ProbeData) -> str | None:
    session = subject.session
    if subject.role == "generator":
        return image_fault(
            compare(run_batch(session, "image", data.z), data.image), session.precision, subject.fidelity
        )
    wanted = np.asarray(data.logit)
    error = np.abs(run_batch(session, "logit", data.image) - wanted).max() / max(1.0, np.abs(wanted).max())
    return logit_fault(float(error), session.precision)


def _passed_file(subject: Subject) -> tuple[Path | None, str]:
    try:
        key = json.dumps(_key(subject), sort_keys=True)
        return cache_folder() / "probes" / f"{sha256(key.encode()).hexdigest()[:32]}.json", ""
    except OSError as error:
        return None, _forgotten(error)


def _remember(file: Path, subject: Subject) -> str:
    from ganport_runtime.atomic import write_bytes  # most openings remember nothing new

    try:
        write_bytes(file, json.dumps(_key(subject), indent=1).encode())
    except OSError as error:
        return _forgotten(error)
    return ""


def _key(subject: Subject) -> dict[str, Any]:
    here = machine.facts() if subject.facts["device"] != "cpu" else machine.processor()
    return {"bundle": subject.bundle.digest, "role": subject.role, "plan": dict(subject.facts), "machine": here}


def _forgotten(error: OSError) -> str:
    return f"the probe runs at every opening, for its result cannot be remembered ({error})"
