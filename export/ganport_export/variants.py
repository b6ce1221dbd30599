"""A variant of a network: a finished ONNX file and what the manifest says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ganport_runtime.manifest import Role, Variant

from ganport_export.bundle_writer import sha256

__all__ = ["Graph"]


@dataclass(frozen=True)
class Graph:
    """A finished ONNX file.

    Args:
        role: `generator` or `discriminator`.
        form: how the graph is written.
        precision: what it computes in.
        data: the file.
        kind: of int8, `u8s8` or `s8s8`; None in other precisions.
        parity: figures against the network in float64.
        fidelity: figures against the reference variant.
        details: how it was made, for the manifest.
    """

    role: Role
    form: str
    precision: str
    data: bytes = field(repr=False)
    kind: str | None = None
    parity: Mapping[str, Any] = field(default_factory=dict)
    fidelity: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Such as `generator-deconv-fp32` or `generator-fused-int8-u8s8`."""
        return "-".join(part for part in (self.role, self.form, self.precision, self.kind) if part)

    @property
    def variant(self) -> Variant:
        """The manifest's entry."""
        return Variant(
            id=self.id,
            role=self.role,
            file=f"{self.id}.onnx",
            sha256=sha256(self.data),
            precision=self.precision,
            form=self.form,
            parity=self.parity,
            fidelity=self.fidelity,
            details=self.details,
        )
