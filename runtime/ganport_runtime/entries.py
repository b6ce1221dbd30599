"""What a manifest lists, each with a file of its own: variants (ONNX graphs), engines (compiled graphs), the probe."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, cast, get_args

from ganport_runtime.fields import Fields

__all__ = ["PRECISIONS", "Engine", "Entry", "Probe", "Role", "Variant"]

PRECISIONS = ("fp32", "fp16", "int8")
PROMISES = ("psnr_db_mean", "psnr_db_worst")
SHA256 = re.compile(r"[0-9a-f]{64}")

Role = Literal["generator", "discriminator"]


@dataclass(frozen=True)
class Variant:
    """One ONNX graph.

    Attributes:
        id: `{role}-{form}-{precision}`, and for int8 the kind of quantization after it.
        role: `generator` or `discriminator`.
        file: relative to the bundle, with `/`.
        sha256: the file's digest.
        precision: one of `PRECISIONS`.
        form: how the graph is written, such as `deconv` or `phase`.
        parity: figures against the network in float64.
        fidelity: figures against the bundle's fp32 reference, on fresh latents; empty where there are none.
        details: whatever else the manifest says of it.
    """

    id: str
    role: Role
    file: str
    sha256: str
    precision: str
    form: str
    parity: Mapping[str, Any] = field(default_factory=dict)
    fidelity: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it; fields of other names become `details`."""
        return cls(
            id=fields.text("id"),
            role=_role(fields),
            file=_file(fields),
            sha256=_sha256(fields),
            precision=_precision(fields),
            form=fields.text("form"),
            parity=fields.mapping("parity"),
            fidelity=_fidelity(fields),
            details=_details(cls, fields),
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON object, with `details` as fields of its own, and no `fidelity` where there are no figures."""
        document = _to_json(self)
        if not self.fidelity:
            del document["fidelity"]
        return document


@dataclass(frozen=True)
class Engine:
    """A variant compiled for certain devices by one version of a library.

    `profiles` are the shapes it was built for, as the library that built it names them; `details` holds whatever else
    that library's backend wrote.
    """

    id: str
    variant: str
    file: str
    sha256: str
    library: str
    library_version: str
    compute_capabilities: tuple[str, ...]
    profiles: tuple[Mapping[str, Any], ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it; fields of other names become `details`."""
        return cls(
            id=fields.text("id"),
            variant=fields.text("variant"),
            file=_file(fields),
            sha256=_sha256(fields),
            library=fields.text("library"),
            library_version=fields.text("library_version"),
            compute_capabilities=fields.texts("compute_capabilities"),
            profiles=tuple(profile.document for profile in fields.items("profiles")),
            details=_details(cls, fields),
        )

    @property
    def precision(self) -> str:
        """The precision that its `details` say, or `unknown`."""
        return str(self.details.get("precision", "unknown"))

    def to_json(self) -> dict[str, Any]:
        """The JSON object, with `details` as fields of its own."""
        return _to_json(self)


Entry = Variant | Engine


@dataclass(frozen=True)
class Probe:
    """What every plan must be able to make: `images` latents with the float64 network's pixels, in an npz file."""

    file: str
    sha256: str
    images: int

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it."""
        return cls(_file(fields), _sha256(fields), fields.integer("images"))

    @property
    def id(self) -> str:
        """What lists of files call it."""
        return "probe"


def _details(kind: type[Entry], fields: Fields) -> dict[str, Any]:
    """The fields that the class does not know."""
    known = kind.__dataclass_fields__.keys() - {"details"}
    return {key: value for key, value in fields.document.items() if key not in known}


def _to_json(entry: Entry) -> dict[str, Any]:
    document: dict[str, Any] = asdict(entry)
    details: dict[str, Any] = document.pop("details")
    twice = sorted(details.keys() & document.keys())
    if twice:
        raise ValueError(f"details of {entry.id} repeat the fields {', '.join(twice)}")
    return document | details


def _fidelity(fields: Fields) -> dict[str, Any]:
    """Figures of which the PSNRs are numbers: the probe holds plans to them."""
    fidelity = fields.optional("fidelity")
    if fidelity is None:
        return {}
    for figure in PROMISES:
        fidelity.number(figure)
    return fidelity.document


def _role(fields: Fields) -> Role:
    role = fields.text("role")
    if role not in get_args(Role):
        fields.refuse("role", f"one of {', '.join(get_args(Role))}")
    return cast(Role, role)


def _precision(fields: Fields) -> str:
    precision = fields.text("precision")
    if precision not in PRECISIONS:
        fields.refuse("precision", f"one of {', '.join(PRECISIONS)}")
    return precision


def _sha256(fields: Fields) -> str:
    digest = fields.text("sha256")
    if not SHA256.fullmatch(digest):
        fields.refuse("sha256", "64 lowercase hexadecimal digits")
    return digest


def _file(fields: Fields) -> str:
    """A path inside the bundle: relative, with `/` alone between its parts, none of them `.` or `..`."""
    file = fields.text("file")
    if "\\" in file or ":" in file or any(part in ("", ".", "..") for part in file.split("/")):
        fields.refuse("file", "a path inside the bundle, relative, with / between its parts")
    return file
