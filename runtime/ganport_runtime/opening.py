"""Opens the plans that run a network: for each bucket the best that is known here and really works."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ganport_runtime.backends import Session, load_backend
from ganport_runtime.backends.options import thread_count
from ganport_runtime.buckets import BUCKETS, TOP
from ganport_runtime.bundle import Bundle
from ganport_runtime.choosing import Choice, choose
from ganport_runtime.entries import Role
from ganport_runtime.errors import BundleError, PlanError
from ganport_runtime.manifest import Manifest
from ganport_runtime.plan import Candidate, Plan, Refusal, Request, by_reason
from ganport_runtime.probing import Subject, probe
from ganport_runtime.signature import Signature, check_signature
from ganport_runtime.survey import survey

__all__ = ["Promise", "Running", "open_candidate", "open_plans"]

Promise = Callable[[Manifest], Signature]  # asked once there is such a role in the manifest


@dataclass(frozen=True)
class Running:
    """A plan and the session that runs it."""

    plan: Plan
    session: Session


def open_plans(bundle: Bundle, role: Role, request: Request, signature: Promise) -> dict[int, Running]:
    """Open, for every bucket, the first of its choices that really runs; a plan of several buckets is opened once.

    Where one plan is asked for, it is the first choice that really runs at every bucket.

    Raises:
        BundleError: the bundle has no such role, or a file of it is altered or no graph that its engine can load.
        PlanError: every candidate is refused; the text says why.
    """
    if not bundle.entries(role):
        raise BundleError(f"{bundle.path} holds no {role}; export it again from a run that has one")
    available, refusals = survey(bundle, role, request)
    opener = _Opener(bundle, role, request, signature, refusals)
    try:
        choices = choose(bundle, role, request, available)
        if request.one_plan:
            found = dict.fromkeys(BUCKETS, opener.first(BUCKETS[::-1], choices[TOP]))
        else:
            found = {bucket: opener.first((bucket,), choices[bucket]) for bucket in BUCKETS[::-1]}
    except BaseException:
        opener.close()
        raise
    opener.close(but=[one.running for one in found.values()])
    return {bucket: opener.finished(found[bucket]) for bucket in BUCKETS}


def open_candidate(
    bundle: Bundle, role: Role, candidate: Candidate, signature: Promise, threads: int | None = None
) -> Running:
    """Open one candidate, which passes the bundle's probe at the probe's own size.

    Raises:
        BundleError: its file is altered or no graph that its engine can load.
        PlanError: it cannot run here, or fails the probe.
    """
    session = _load(bundle, candidate, threads)
    try:
        where = f"{bundle.path}: {type(candidate.entry).__name__.lower()} {candidate.entry.id}"
        check_signature(signature(bundle.manifest), session, where)
        plan = _plan(bundle, role, candidate, session, threads)
        running = Running(plan, session)
        said = probe(_subject(bundle, role, candidate, running))
    except BaseException:
        session.close()
        raise
    return replace(running, plan=replace(plan, note=said))


@dataclass(frozen=True)
class _Found:
    """What serves a bucket: the choice, what runs it, and what there is to say beside the choice's own note."""

    choice: Choice
    running: Running
    notes: tuple[str, ...]


class _Opener:
    """Opens each candidate once and remembers what came of it."""

    def __init__(
        self, bundle: Bundle, role: Role, request: Request, signature: Promise, refusals: list[Refusal]
    ) -> None:
        self._what = (bundle, role)
        self._request, self._signature, self._refusals = request, signature, refusals
        self._failures: list[Refusal] = []
        self._opened: dict[str, Running | Refusal] = {}
        self._finished: dict[tuple[int, str, bool], Running] = {}

    def first(self, buckets: Sequence[int], choices: Sequence[Choice]) -> _Found:
        """The first of these choices that runs and makes what the probe wants at all of these buckets."""
        notes: list[str] = []
        for choice in choices:
            running = self._open(choice.candidate)
            if isinstance(running, Refusal):
                notes.append(f"instead of {running}")
                continue
            try:
                said = [self._probed(bucket, choice.candidate, running) for bucket in buckets]
                return _Found(choice, running, (*notes, *said))
            except PlanError as error:
                refusal = self._failed(choice.candidate, error)
                notes.append(f"instead of {refusal}")
        bundle, role = self._what
        asked = [refusal for refusal in self._refusals if not refusal.is_unasked]
        reasons = by_reason([*self._failures, *asked] or self._refusals)
        raise PlanError(
            f"nothing here can run the {role} of {bundle.path}: {reasons}; "
            "ask for what is there, or mend one of these reasons"
        )

    def finished(self, found: _Found) -> Running:
        """The plan with the choice's note and every refusal; one object for all buckets where they are the same."""
        choice, running = found.choice, found.running
        texts = dict.fromkeys((choice.note, *found.notes, running.plan.note))
        note = "; ".join(text for text in texts if text)
        key = (id(running), note, choice.tuned)
        if key not in self._finished:
            refusals = (*self._refusals, *self._failures)
            plan = replace(running.plan, note=note, tuned=choice.tuned, refusals=refusals)
            self._finished[key] = Running(plan, running.session)
        return self._finished[key]

    def close(self, but: Sequence[Running] = ()) -> None:
        """Let go of all that was opened but what is in use."""
        for running in self._opened.values():
            if isinstance(running, Running) and not any(running is one for one in but):
                running.session.close()

    def _open(self, candidate: Candidate) -> Running | Refusal:
        key = str(candidate)
        if key not in self._opened:
            bundle, role = self._what
            try:
                self._opened[key] = open_candidate(bundle, role, candidate, self._signature, self._request.threads)
            except PlanError as error:
                self._opened[key] = self._failed(candidate, error)
        return self._opened[key]

    def _probed(self, bucket: int, candidate: Candidate, running: Running) -> str:
        """What the probe says of a bucket, where the session holds something of its own for each."""
        return probe(_subject(*self._what, candidate, running), bucket) if running.session.is_sized else ""

    def _failed(self, candidate: Candidate, error: PlanError) -> Refusal:
        refusal = Refusal(candidate, str(error))
        if refusal not in self._failures:
            self._failures.append(refusal)
        return refusal


def _subject(bundle: Bundle, role: Role, candidate: Candidate, running: Running) -> Subject:
    fidelity = bundle.variant_of(candidate.entry).fidelity
    return Subject(bundle, role, fidelity, running.session, _facts(running.plan, candidate))


def _load(bundle: Bundle, candidate: Candidate, threads: int | None) -> Session:
    backend, entry = load_backend(candidate.backend), candidate.entry
    with bundle.reading(entry) as model:
        try:
            return backend.open(model, entry=entry, device=candidate.device, threads=threads, options=candidate.options)
        except BundleError as error:
            file = bundle.path / entry.file
            raise BundleError(f"{file} cannot be loaded by {error}; export it again or update the library") from error


def _plan(bundle: Bundle, role: Role, candidate: Candidate, session: Session, threads: int | None) -> Plan:
    entry, variant = candidate.entry, bundle.variant_of(candidate.entry)
    return Plan(
        role=role,
        variant=variant.id,
        form=variant.form,
        precision=session.precision,
        backend=candidate.backend,
        backend_version=load_backend(candidate.backend).version(),
        device=candidate.device,
        provider=session.provider,
        threads=thread_count(threads, candidate.options),
        options=session.options,
        engine=None if entry is variant else entry.id,
    )


def _facts(plan: Plan, candidate: Candidate) -> Mapping[str, object]:
    """All that a plan's images may depend on, beside bundle and machine."""
    return {
        "entry": candidate.entry.id,
        "backend": plan.backend,
        "version": plan.backend_version,
        "device": plan.device,
        "provider": plan.provider,
        "precision": plan.precision,
        "options": dict(plan.options),
        "threads": plan.threads,
    }
