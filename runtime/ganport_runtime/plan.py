"""Chooses how a bundle is run here, and says why every other way was refused."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ganport_runtime.backends import BACKENDS, Backend, Session, load_backend
from ganport_runtime.bundle import Bundle
from ganport_runtime.checks import one_of, whole_number
from ganport_runtime.entries import PRECISIONS, Role, Variant
from ganport_runtime.errors import BundleError, PlanError

__all__ = ["AUTO", "DEVICES", "Candidate", "Plan", "Refusal", "Request", "open_session", "survey"]

AUTO = "auto"
DEVICES = ("cuda", "cpu")  # fastest first
UNTUNED_PRECISIONS = ("fp32",)  # what `auto` may take with no measurement on this machine
PREFERRED_FORM = "deconv"  # in fp32 no other form was measured to be faster
MAX_THREADS = 1024


@dataclass(frozen=True)
class Request:
    """What the caller asked for; `auto` leaves a choice open."""

    device: str = AUTO
    precision: str = AUTO
    backend: str = AUTO
    threads: int | None = None

    def __post_init__(self) -> None:
        one_of("device", self.device, (AUTO, *reversed(DEVICES)))
        one_of("precision", self.precision, (AUTO, *PRECISIONS))
        one_of("backend", self.backend, (AUTO, *BACKENDS))
        if self.threads is not None:
            whole_number("threads", self.threads, 1, MAX_THREADS)


@dataclass(frozen=True)
class Candidate:
    """One way to run a role: a variant on a backend's device."""

    variant: Variant
    backend: str
    device: str

    def __str__(self) -> str:
        return f"{self.variant.id} by {self.backend} on {self.device}"


@dataclass(frozen=True)
class Refusal:
    """A candidate that cannot be used, and why."""

    candidate: Candidate
    reason: str

    def __str__(self) -> str:
        return f"{self.candidate}: {self.reason}"


@dataclass(frozen=True)
class Plan:
    """How a network runs.

    Attributes:
        role: `generator` or `discriminator`.
        variant: the variant's id.
        form: the variant's graph form.
        precision: the variant's precision.
        backend: the inference library.
        backend_version: its version.
        device: `cpu` or `cuda`.
        provider: what runs the graph, as the engine itself reports it.
        threads: CPU threads for one run, or None for the library's own default.
        options: what the engine was told beside its defaults.
        tuned: whether this machine was measured.
        note: what `tuned` rests on.
        refusals: every candidate that could not be used, with its reason.
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
    note: str = "not tuned: the safest fast default, nothing was measured on this machine"
    refusals: tuple[Refusal, ...] = ()

    def __str__(self) -> str:
        threads = "default threads" if self.threads is None else f"threads {self.threads}"
        engine = f"{self.backend} {self.backend_version}, {self.provider}, {threads}"
        return f"{self.variant} ({self.form}, {self.precision}) by {engine}; {self.note}"


def survey(bundle: Bundle, role: Role, request: Request) -> tuple[list[Candidate], list[Refusal]]:
    """Every candidate of a role: the available ones, best first, and the refused ones with their reasons."""
    available: list[Candidate] = []
    refusals: list[Refusal] = []
    for candidate, backend in _candidates(bundle, role):
        reason = _refusal(candidate, request) or backend.refusal(candidate.device)
        if reason is None:
            available.append(candidate)
        else:
            refusals.append(Refusal(candidate, reason))
    return available, refusals


def open_session(bundle: Bundle, role: Role, request: Request) -> tuple[Session, Plan]:
    """Open the first candidate that really runs.

    Raises:
        BundleError: the bundle has no such role, or a file of it is altered or no graph that its engine can load.
        PlanError: every candidate is refused; the text says why.
    """
    if not bundle.variants(role):
        raise BundleError(f"{bundle.path} holds no {role}; export it again from a run that has one")
    available, refusals = survey(bundle, role, request)
    for candidate in available:
        try:
            session = _open(bundle, candidate, request)
        except PlanError as error:
            refusals.append(Refusal(candidate, str(error)))
        else:
            return session, _plan(candidate, session, request, tuple(refusals))
    raise PlanError(
        f"nothing here can run the {role} of {bundle.path}: {_by_reason(refusals)}; "
        "ask for what is there, or mend one of these reasons"
    )


def _candidates(bundle: Bundle, role: Role) -> Iterator[tuple[Candidate, Backend]]:
    """Best first: by device, then backend, then precision, then form."""
    backends = {name: load_backend(name) for name in BACKENDS}
    variants = sorted(bundle.variants(role), key=_preference)
    for device in DEVICES:
        for name, backend in backends.items():
            if device in backend.devices:
                for variant in variants:
                    yield Candidate(variant, name, device), backend


def _preference(variant: Variant) -> tuple[int, bool]:
    return PRECISIONS.index(variant.precision), variant.form != PREFERRED_FORM


def _refusal(candidate: Candidate, request: Request) -> str | None:
    """Why the caller's request leaves a candidate out."""
    precision = candidate.variant.precision
    if request.device not in (AUTO, candidate.device):
        return f"its device is {candidate.device}, {request.device} was asked for"
    if request.backend not in (AUTO, candidate.backend):
        return f"its backend is {candidate.backend}, {request.backend} was asked for"
    if request.precision not in (AUTO, precision):
        return f"its precision is {precision}, {request.precision} was asked for"
    if request.precision == AUTO and precision not in UNTUNED_PRECISIONS:
        return f"precision auto takes {' or '.join(UNTUNED_PRECISIONS)} where nothing was tuned; ask for {precision}"
    return None


def _by_reason(refusals: Iterable[Refusal]) -> str:
    """Every candidate with its reason, each reason once."""
    candidates: dict[str, list[str]] = {}
    for refusal in refusals:
        candidates.setdefault(refusal.reason, []).append(str(refusal.candidate))
    return "; ".join(f"{', '.join(names)}: {reason}" for reason, names in candidates.items())


def _open(bundle: Bundle, candidate: Candidate, request: Request) -> Session:
    backend = load_backend(candidate.backend)
    with bundle.reading(candidate.variant) as model:
        try:
            return backend.open(model, device=candidate.device, threads=request.threads)
        except BundleError as error:
            file = bundle.path / candidate.variant.file
            raise BundleError(f"{file} cannot be loaded by {error}; export it again or update the library") from error


def _plan(candidate: Candidate, session: Session, request: Request, refusals: tuple[Refusal, ...]) -> Plan:
    variant = candidate.variant
    return Plan(
        role=variant.role,
        variant=variant.id,
        form=variant.form,
        precision=variant.precision,
        backend=candidate.backend,
        backend_version=load_backend(candidate.backend).version(),
        device=candidate.device,
        provider=session.provider,
        threads=request.threads,
        options=session.options,
        refusals=refusals,
    )
