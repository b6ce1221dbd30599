"""How a network may be run: what the caller asks for, every candidate, and the plan that was made of one."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from ganport_runtime.backends import BACKENDS, Backend, load_backend, refusal_of_backend
from ganport_runtime.bundle import Bundle
from ganport_runtime.errors import one_of, whole_number
from ganport_runtime.manifest import Entry, Role

AUTO = "auto"
DEVICES = ("cuda", "cpu")  # fastest first
PRECISIONS = ("fp32", "bf16", "fp16", "int8")  # of plans; bf16 is what an engine makes of an fp32 graph
UNTUNED = "not tuned: the safest fast default, nothing was measured on this machine"
MAX_THREADS = 1024
UNTUNED_PRECISIONS = ("fp32",)  # what `auto` may take with no measurement on this machine
PREFERRED_FORM = "deconv"  # as trained


@dataclass(frozen=True)
class PlanRequest:
    """What the caller asked for; `auto` leaves a choice open."""

    device: str = AUTO
    precision: str = AUTO
    backend: str = AUTO
    threads: int | None = None
    one_plan: bool = True

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
        """What is to run: the entry's precision, or what the backend makes of it with these options."""
        return load_backend(self.backend).precision_of(self.entry, self.options)

    def __str__(self) -> str:
        options = "".join(f", {key} {value}" for key, value in self.options.items())
        return f"{self.entry.id} by {self.backend} on {self.device}{options}"


@dataclass(frozen=True)
class Refusal:
    """A candidate that cannot be used, and why."""

    candidate: Candidate
    reason: str
    is_unasked: bool = False  # the caller asked for another device, backend or precision

    def __str__(self) -> str:
        return f"{self.candidate}: {self.reason}"


@dataclass(frozen=True)
class Plan:
    """How a network runs."""

    role: Role
    variant: str  # its id; for an engine, of the variant that it was built from
    form: str
    precision: str  # what really runs: an fp32 variant whose engine computes in bf16 is `bf16`
    backend: str
    backend_version: str
    device: str
    provider: str  # what runs the graph, as the engine itself reports it
    threads: int | None  # CPU threads for one run; None: the library's own default
    options: Mapping[str, str] = field(default_factory=dict)  # what the engine was told beside its defaults
    tuned: bool = False
    note: str = UNTUNED  # what `tuned` rests on, and what else there is to say
    refusals: tuple[Refusal, ...] = ()
    engine: str | None = None  # its id, or None where a variant runs

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


def list_plans(bundle: Bundle, role: Role, request: PlanRequest) -> tuple[list[Candidate], list[Refusal]]:
    """Every candidate of a role with its backend's default options: the available ones, best first, and the refused."""
    available: list[Candidate] = []
    refusals: list[Refusal] = []
    lack_of = cache(refusal_of_backend)  # asked once, not for each entry
    for candidate in _candidates(bundle, role, request):
        other = unasked(candidate, request)
        reason = other or _unmeasured(candidate, request)
        reason = reason or _impossible(candidate, lack_of(candidate.backend, candidate.device))
        if reason is None:
            available.append(candidate)
        else:
            refusals.append(Refusal(candidate, reason, is_unasked=other is not None))
    return available, refusals


def refusal_of(candidate: Candidate, request: PlanRequest) -> str | None:
    """Why this machine or the request leaves out a candidate that was measured, whatever its precision; or None."""
    lack = refusal_of_backend(candidate.backend, candidate.device)
    return unasked(candidate, request) or _impossible(candidate, lack)


def _candidates(bundle: Bundle, role: Role, request: PlanRequest) -> Iterator[Candidate]:
    """Best first: by device, then backend, then precision, then form."""
    for device in DEVICES:
        for name in BACKENDS:
            backend = load_backend(name)
            if device in backend.devices:
                ways = (_way(entry, name, backend, device, request) for entry in bundle.entries(role))
                yield from sorted(ways, key=lambda way: _preference(bundle, way))


def _way(entry: Entry, name: str, backend: Backend, device: str, request: PlanRequest) -> Candidate:
    """The first of the backend's choices that makes the precision asked for, or else the first of all."""
    ways = [Candidate(entry, name, device, options) for options in backend.settings_to_try(entry, device)]
    return next((way for way in ways if way.precision == request.precision), ways[0])


def _preference(bundle: Bundle, candidate: Candidate) -> tuple[int, bool]:
    precisions = (*PRECISIONS, candidate.precision)  # an engine of a precision of its own comes last
    return precisions.index(candidate.precision), bundle.variant_of(candidate.entry).form != PREFERRED_FORM


def unasked(candidate: Candidate, request: PlanRequest) -> str | None:
    """Why the caller's request leaves a candidate out."""
    if request.device not in (AUTO, candidate.device):
        return f"its device is {candidate.device}, {request.device} was asked for"
    if request.backend not in (AUTO, candidate.backend):
        return f"its backend is {candidate.backend}, {request.backend} was asked for"
    if request.precision not in (AUTO, candidate.precision):
        return f"its precision is {candidate.precision}, {request.precision} was asked for"
    return None


def _unmeasured(candidate: Candidate, request: PlanRequest) -> str | None:
    """Why a candidate is left out where nothing was measured and no precision asked for."""
    precision = candidate.precision
    if request.precision == AUTO and precision not in UNTUNED_PRECISIONS:
        return f"precision auto takes {' or '.join(UNTUNED_PRECISIONS)} where nothing was tuned; ask for {precision}"
    return None


def _impossible(candidate: Candidate, lack: str | None) -> str | None:
    """Why this machine leaves a candidate out: what of its entry does not fit, and what the backend lacks."""
    misfit = load_backend(candidate.backend).entry_refusal(candidate.entry, candidate.device)
    if misfit is None or lack is None or lack in misfit:
        return misfit or lack
    return f"{misfit}; {lack}"
