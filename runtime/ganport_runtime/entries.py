"""What a manifest lists, each with a file of its own: variants (ONNX graphs) and engines (compiled graphs)."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Self, cast, get_args

from ganport_runtime.fields import Fields

__all__ = ["PRECISIONS", "Engine", "Role", "Variant"]

PRECISIONS = ("fp32", "fp16", "int8")
SHA256 = re.compile(r"[0-9a-f]{64}")

Role = Literal["generator", "discriminator"]


@dataclass(frozen=True)
class Variant:
    """One ONNX graph: its file (relative to the bundle, with `/`), the file's SHA-256 and its parity figures."""

    id: str
    role: Role
    file: str
    sha256: str
    precision: str
    form: str
    parity: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read and check it."""
        return cls(
            id=fields.text("id"),
            role=_role(fields),
            file=_file(fields),
            sha256=_sha256(fields),
            precision=_precision(fields),
            form=fields.text("form"),
            parity=fields.mapping("parity"),
        )


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
        known = {"compute_capabilities", "profiles", "id", "variant", "file", "sha256", "library", "library_version"}
        return cls(
            id=fields.text("id"),
            variant=fields.text("variant"),
            file=_file(fields),
            sha256=_sha256(fields),
            library=fields.text("library"),
            library_version=fields.text("library_version"),
            compute_capabilities=fields.texts("compute_capabilities"),
            profiles=tuple(profile.document for profile in fields.items("profiles")),
            details={key: value for key, value in fields.document.items() if key not in known},
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON object, with `details` as fields of its own."""
        document: dict[str, Any] = asdict(self)
        details: dict[str, Any] = document.pop("details")
        return document | details


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
