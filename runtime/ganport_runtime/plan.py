"""How a network may be run: what the caller asks for, the candidates, and the plan that was made of one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ganport_runtime.backends import BACKENDS
from ganport_runtime.checks import one_of, whole_number
from ganport_runtime.entries import Entry, Role

__all__ = ["AUTO", "DEVICES", "PRECISIONS", "UNTUNED", "Candidate", "Plan", "Refusal", "Request", "by_reason"]

AUTO = "auto"
DEVICES = ("cuda", "cpu")  # fastest first
PRECISIONS = ("fp32", "bf16", "fp16", "int8")  # of plans; bf16 is what an engine makes of an fp32 graph
UNTUNED = "not tuned: the safest fast default, nothing was measured on this machine"
MAX_THREADS = 1024


@dataclass(frozen=True)
class Request:
    """What the caller asked for; `auto` leaves a choice open, `one_plan` wants one choice for all batch sizes."""

    device: str = AUTO
    precision: str = AUTO
    backend: str = AUTO
    threads: int | None = None
    one_plan: bool = False

    def __post_init__(self) -> None:
        one_of("device", self.device, (AUTO, *reversed(DEVICES)))
        one_of("precision", self.precision, (AUTO, *PRECISIONS))
        one_of("backend", self.backend, (AUTO, *BACKENDS))
        if self.threads is not None:
            whole_number("threads", self.threads, 1, MAX_THREADS)


@dataclass(frozen=True)
class Candidate:
    """One way to run a role: a variant or an engine on a backend's device, with options."""

    entry: Entry
    backend: str
    device: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def precision(self) -> str:
        """What is to run: the entry's precision, or `bf16` where an engine is to make that of its float layers."""
        is_float = self.entry.precision in ("fp32", "fp16")
        return "bf16" if is_float and self.options.get("precision_hint") == "bf16" else self.entry.precision

    def __str__(self) -> str:
        options = "".join(f", {key} {value}" for key, value in self.options.items())
        return f"{self.entry.id} by {self.backend} on {self.device}{options}"


@dataclass(frozen=True)
class Refusal:
    """A candidate that cannot be used, and why.

    Attributes:
        candidate: which.
        reason: why.
        is_unasked: whether the caller asked for another device, backend or precision.
    """

    candidate: Candidate
    reason: str
    is_unasked: bool = False

    def __str__(self) -> str:
        return f"{self.candidate}: {self.reason}"


@dataclass(frozen=True)
class Plan:
    """How a network runs.

    Attributes:
        role: `generator` or `discriminator`.
        variant: the variant's id; for an engine, of the one that it was built from.
        form: the variant's graph form.
        precision: what really runs: an fp32 variant whose engine computes in bf16 is `bf16`.
        backend: the inference library.
        backend_version: its version.
        device: `cpu` or `cuda`.
        provider: what runs the graph, as the engine itself reports it.
        threads: CPU threads for one run, or None for the library's own default.
        options: what the engine was told beside its defaults.
        tuned: whether this machine was measured.
        note: what `tuned` rests on, and what else there is to say.
        refusals: every candidate that could not be used, with its reason.
        engine: the engine's id, or None where a variant runs.
    """

    role: Role
    variant: str
    form: str
    precision: str
    backend: str
    backend_version: str
    device: str
    provider: str
    threads: int | None
    options: Mapping[str, str] = field(default_factory=dict)
    tuned: bool = False
    note: str = UNTUNED
    refusals: tuple[Refusal, ...] = ()
    engine: str | None = None

    def __str__(self) -> str:
        threads = "default threads" if self.threads is None else f"threads {self.threads}"
        runner = f"{self.backend} {self.backend_version}, {self.provider}, {threads}"
        return f"{self.engine or self.variant} ({self.form}, {self.precision}) by {runner}; {self.note}"


def by_reason(refusals: Iterable[Refusal]) -> str:
    """Every refused candidate with its reason, each reason once."""
    candidates: dict[str, list[str]] = {}
    for refusal in refusals:
        candidates.setdefault(refusal.reason, []).append(str(refusal.candidate))
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in candidates.items())
