"""Opens the plans that run a network: for each bucket the best that is known here and really works."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ganport_runtime import machine
from ganport_runtime.backends import BACKENDS, Session, Tensor, engine_versions, load_backend
from ganport_runtime.backends.protocol import thread_count
from ganport_runtime.batches import BUCKETS, TOP
from ganport_runtime.bundle import Bundle
from ganport_runtime.errors import BundleError, InputError, PlanError, one_line
from ganport_runtime.manifest import Manifest, Role
from ganport_runtime.plan import (
    UNTUNED,
    Candidate,
    Plan,
    PlanRequest,
    Refusal,
    by_reason,
    list_plans,
    refusal_of,
    unasked,
)
from ganport_runtime.self_test import Subject, probe
from ganport_runtime.tuning.record import MeasuredPlan, TuningRecord, find_record, winners

Signature = tuple[Tensor, ...]
"""The graph's one input, then its outputs."""
UNMEASURED = "not tuned: the tuning record holds no measured plan of what was asked for"
UNOPENED = "not tuned: no plan of the tuning record that was asked for could be used"
THREADS = "not tuned: a number of threads was asked for, and tuning chooses its own"


def check_signature(promised: Signature, session: Session, where: str) -> None:
    """See that the graph is what the manifest says it is, before anything runs; a BundleError begins with `where`."""
    if session.inputs != promised[:1]:
        raise BundleError(f"{where} takes {_shown(session.inputs)}, wanted {_shown(promised[:1])}; export it again")
    found = {tensor.name: tensor for tensor in session.outputs}
    for tensor in promised[1:]:
        if found.get(tensor.name) != tensor:
            raise BundleError(f"{where} gives {_shown(session.outputs)}, wanted {_shown((tensor,))}; export it again")


def _shown(tensors: Signature) -> str:
    return ", ".join(
        f"{tensor.name} {tensor.dtype} [{', '.join('batch' if size is None else str(size) for size in tensor.shape)}]"
        for tensor in tensors
    )


@dataclass(frozen=True)
class RankedCandidate:
    """A candidate to try for a bucket, whether it was measured here, and what there is to say of it."""

    candidate: Candidate
    tuned: bool
    note: str


def rank_candidates(
    bundle: Bundle, role: Role, request: PlanRequest, available: Sequence[Candidate]
) -> dict[int, tuple[RankedCandidate, ...]]:
    """For every bucket the candidates to try, in this order: the measured ones, then the untuned ones.

    Where one plan is wanted, the measured ones are ranked as tuning chose among them, for every bucket alike.
    """
    if request.threads is not None:
        return dict.fromkeys(BUCKETS, _untuned(available, THREADS))
    record = find_record(bundle, role, machine.facts)
    if record is None:
        return dict.fromkeys(BUCKETS, _untuned(available, UNTUNED))
    if isinstance(record, str):
        return dict.fromkeys(BUCKETS, _untuned(available, _not_tuned(bundle, record)))
    within = [plan for plan in record.plans if record.budget.keeps(plan)]
    measured = [(plan, found) for plan in within if (found := _candidate(bundle, role, plan)) is not None]
    known = [(plan, candidate) for plan, candidate in measured if not unasked(candidate, request)]
    plans = [plan for plan, _ in known]
    ranked = dict.fromkeys(BUCKETS, record.ranked(plans)) if request.one_plan else winners(plans)
    candidates = {id(plan): candidate for plan, candidate in known}

    def ranked_at(bucket: int) -> tuple[RankedCandidate, ...]:
        order = ranked.get(bucket, ())
        changed = record.changes(order[0]) if order else ()
        if changed:
            reason = one_line(f"since {record.created} {', '.join(changed)}")
            return _untuned(available, _not_tuned(bundle, reason))
        usable = [plan for plan in order if not refusal_of(candidates[id(plan)], request) and not record.changes(plan)]
        at = TOP if request.one_plan else bucket
        tuned = tuple(RankedCandidate(candidates[id(plan)], True, _tuned_note(record, plan, at)) for plan in usable)
        return tuned + _untuned(available, UNOPENED if usable else UNMEASURED)

    if request.one_plan:
        return dict.fromkeys(BUCKETS, ranked_at(TOP))
    return {bucket: ranked_at(bucket) for bucket in BUCKETS}


def _tuned_note(record: TuningRecord, plan: MeasuredPlan, bucket: int) -> str:
    measured = bucket if bucket in plan.images_per_second else max(plan.images_per_second)
    speed, psnr = plan.images_per_second[measured], plan.psnr_db_mean
    figures = f"{speed:.0f} images/s at batch {measured}, PSNR {psnr:.1f} dB, within {record.budget}"
    new = [f"{name} {version}" for name, version in engine_versions().items() if name not in record.engines]
    untried = f"; {', '.join(new)} is new since then: ganport tune tries it" if new else ""
    return one_line(f"tuned {record.created}: {figures}{untried}")


def _untuned(available: Sequence[Candidate], note: str) -> tuple[RankedCandidate, ...]:
    return tuple(RankedCandidate(candidate, False, note) for candidate in available)


def _not_tuned(bundle: Bundle, reason: str) -> str:
    return f"not tuned: the tuning record does not apply, {reason}; run ganport tune {bundle.path} again"


def _candidate(bundle: Bundle, role: Role, plan: MeasuredPlan) -> Candidate | None:
    """The candidate that a measured plan names, or None where a record from elsewhere names what is not there."""
    entry = next((entry for entry in bundle.entries(role) if entry.id == plan.entry), None)
    if entry is None or plan.backend not in BACKENDS or plan.device not in load_backend(plan.backend).devices:
        return None
    return Candidate(entry, plan.backend, plan.device, plan.options)


SignatureOf = Callable[[Manifest], Signature]  # asked once there is such a role in the manifest


@dataclass(frozen=True)
class Running:
    """A plan and the session that runs it."""

    plan: Plan
    session: Session


def open_plans(bundle: Bundle, role: Role, request: PlanRequest, signature: SignatureOf) -> dict[int, Running]:
    """Open, for every bucket, the first of its choices that really runs; a plan of several buckets is opened once.

    Where one plan is asked for, it is the first choice that really runs at every bucket. PlanError where every choice
    is refused, BundleError where the role is missing or a file of it is altered or cannot be loaded.
    """
    if not bundle.entries(role):
        raise BundleError(f"{bundle.path} holds no {role}; export it again from a run that has one")
    available, refusals = list_plans(bundle, role, request)
    opener = _Opener(bundle, role, request, signature, refusals)
    try:
        choices = rank_candidates(bundle, role, request, available)
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
    bundle: Bundle, role: Role, candidate: Candidate, signature: SignatureOf, threads: int | None = None
) -> Running:
    """Open one candidate and pass the bundle's probe at its own size, else PlanError or BundleError."""
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
class _Selected:
    """What serves a bucket: the choice, what runs it, and what there is to say beside the choice's own note."""

    choice: RankedCandidate
    running: Running
    notes: tuple[str, ...]


class _Opener:
    """Opens each candidate once and remembers what came of it."""

    def __init__(
        self, bundle: Bundle, role: Role, request: PlanRequest, signature: SignatureOf, refusals: list[Refusal]
    ) -> None:
        self._what = (bundle, role)
        self._request, self._signature, self._refusals = request, signature, refusals
        self._failures: list[Refusal] = []
        self._opened: dict[str, Running | Refusal] = {}
        self._finished: dict[tuple[int, str, bool], Running] = {}

    def first(self, buckets: Sequence[int], choices: Sequence[RankedCandidate]) -> _Selected:
        """The first of these choices that runs and makes what the probe wants at all of these buckets."""
        notes: list[str] = []
        for choice in choices:
            running = self._open(choice.candidate)
            if isinstance(running, Refusal):
                notes.append(f"instead of {running}")
                continue
            try:
                said = [self._probed(bucket, choice.candidate, running) for bucket in buckets]
                return _Selected(choice, running, (*notes, *said))
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

    def finished(self, found: _Selected) -> Running:
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
        """Close all that was opened but what is in use."""
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
    model = bundle.read(entry)
    try:
        return backend.open(model, entry=entry, device=candidate.device, threads=threads, options=candidate.options)
    except BundleError as error:
        file = bundle.path / entry.file
        raise BundleError(f"{file} cannot be loaded by {error}; export it again or update the library") from error
    except (PlanError, InputError):
        raise
    except Exception as error:  # such as a library that is installed and cannot be imported
        raise PlanError(one_line(f"{candidate.backend} failed: {type(error).__name__}: {error}")) from error


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
