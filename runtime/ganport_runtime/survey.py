"""Looks at every way to run a bundle's network here: available, or refused with its reason."""

from collections.abc import Iterator
from functools import cache

from ganport_runtime.backends import BACKENDS, Backend, load_backend
from ganport_runtime.bundle import Bundle
from ganport_runtime.entries import Entry, Role
from ganport_runtime.plan import AUTO, DEVICES, PRECISIONS, Candidate, Refusal, Request

__all__ = ["refusal_of", "survey"]

UNTUNED_PRECISIONS = ("fp32",)  # what `auto` may take with no measurement on this machine
PREFERRED_FORM = "deconv"  # as trained


def survey(bundle: Bundle, role: Role, request: Request) -> tuple[list[Candidate], list[Refusal]]:
    """Every candidate of a role with its backend's default options: the available ones, best first, and the refused."""
    available: list[Candidate] = []
    refusals: list[Refusal] = []
    lack_of = cache(lambda backend, device: load_backend(backend).refusal(device))  # asked once, not for each entry
    for candidate in _candidates(bundle, role, request):
        unasked = _unasked(candidate, request)
        reason = unasked or _unmeasured(candidate, request)
        reason = reason or _impossible(candidate, lack_of(candidate.backend, candidate.device))
        if reason is None:
            available.append(candidate)
        else:
            refusals.append(Refusal(candidate, reason, is_unasked=unasked is not None))
    return available, refusals


def refusal_of(candidate: Candidate, request: Request) -> str | None:
    """Why this machine or the request leaves out a candidate that was measured, whatever its precision; or None."""
    lack = load_backend(candidate.backend).refusal(candidate.device)
    return _unasked(candidate, request) or _impossible(candidate, lack)


def _candidates(bundle: Bundle, role: Role, request: Request) -> Iterator[Candidate]:
    """Best first: by device, then backend, then precision, then form."""
    for device in DEVICES:
        for name in BACKENDS:
            backend = load_backend(name)
            if device in backend.devices:
                ways = (_way(entry, name, backend, device, request) for entry in bundle.entries(role))
                yield from sorted(ways, key=lambda way: _preference(bundle, way))


def _way(entry: Entry, name: str, backend: Backend, device: str, request: Request) -> Candidate:
    """The first of the backend's choices that makes the precision asked for, or else the first of all."""
    ways = [Candidate(entry, name, device, options) for options in backend.choices(entry, device)]
    return next((way for way in ways if way.precision == request.precision), ways[0])


def _preference(bundle: Bundle, candidate: Candidate) -> tuple[int, bool]:
    precisions = (*PRECISIONS, candidate.precision)  # an engine of a precision of its own comes last
    return precisions.index(candidate.precision), bundle.variant_of(candidate.entry).form != PREFERRED_FORM


def _unasked(candidate: Candidate, request: Request) -> str | None:
    """Why the caller's request leaves a candidate out."""
    if request.device not in (AUTO, candidate.device):
        return f"its device is {candidate.device}, {request.device} was asked for"
    if request.backend not in (AUTO, candidate.backend):
        return f"its backend is {candidate.backend}, {request.backend} was asked for"
    if request.precision not in (AUTO, candidate.precision):
        return f"its precision is {candidate.precision}, {request.precision} was asked for"
    return None


def _unmeasured(candidate: Candidate, request: Request) -> str | None:
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
