"""Compares two documents: speeds, correctness, what is missing, the start; and says where they cannot be compared."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganport_bench.exactness import EXACT_DB
from ganport_bench.machine import BUSY
from ganport_bench.regression import documents
from ganport_bench.regression.documents import Document, Figure
from ganport_bench.regression.judgement import THRESHOLD, Change, judge, stated
from ganport_bench.regression.noise import noise_of

__all__ = ["Regression", "compare_documents"]

PSNR_DB = 1.0  # that a system may lose; above `EXACT_DB` nothing but rounding is left to lose
WORST_DB = 6.0  # that the worst image may lose: which one it is differs with the arithmetic
START_THRESHOLD = 0.1  # fresh processes differ more from run to run than calls within one
HARDWARE = ("cpu", "cores", "gpus")
ELSEWHERE = "another machine"

Row = tuple[Mapping[str, Any], Figure]
Rows = Mapping[tuple[str, int], Row]


@dataclass(frozen=True)
class Regression:
    """What changed.

    Attributes:
        changes: all that was compared.
        remarks: what is to be known beside it, a line each.
    """

    changes: Sequence[Change]
    remarks: Sequence[str]

    @property
    def is_regression(self) -> bool:
        """Whether anything is worse."""
        return any(change.verdict == "worse" for change in self.changes)

    def to_json(self) -> dict[str, Any]:
        """Its document."""
        return {
            "is_regression": self.is_regression,
            "changes": [change.to_json() for change in self.changes],
            "remarks": list(self.remarks),
        }


def compare_documents(old: Document, new: Document, *, threshold: float = THRESHOLD) -> Regression:
    """Compare what two runs of the benchmark found.

    Speeds and starts are judged on one machine alone; on another one, how many times as fast as a peer beside them the
    plans are. Images that became wrong or worse, and plans that are gone, are regressions anywhere.

    Args:
        old: as `read_document` gives it.
        new: likewise.
        threshold: share of the old value that a change must exceed; of the start's at least `START_THRESHOLD`.
    """
    others = _differences(old["machine"], new["machine"])
    is_comparable = not others
    changes = [
        *_rows(_rates(old), _rates(new), new, threshold, is_comparable),
        *([] if is_comparable else _ratios(old, new, threshold)),
        *_starts(old, new, max(threshold, START_THRESHOLD), is_comparable),
        *_wrong(old, new),
        *_singles(old, new),
    ]
    return Regression(changes, [*others, *_remarks(old, new)])


def _rates(document: Document) -> dict[tuple[str, int], Row]:
    return {key: (row, rate) for key, row, rate in documents.rates(document)}


def _rows(old: Rows, new: Rows, document: Document, threshold: float, is_comparable: bool) -> Iterator[Change]:
    both = {key: (rate, new[key][1]) for key, (_, rate) in old.items() if key in new}
    peers = [pair for key, pair in both.items() if old[key][0].get("kind") == "peer"]
    noise = noise_of(peers, len(both))
    for key, (row, rate) in old.items():
        what = f"{key[0]}, batch {key[1]}"
        if key not in new:
            reason = documents.unmeasured(document, key[1])
            if reason:  # the other systems were not measured either
                yield stated(what, rate.value, None, f"not measured now: {reason}")
            else:
                yield _vanished(what, row, rate.value, documents.missing(document, key))
        elif fault := _fault(row, new[key][0]):
            yield Change(what, rate.value, new[key][1].value, "worse", fault)
        elif is_comparable:
            yield judge(f"{what}, images/s", *both[key], noise, more_is_better=True, threshold=threshold)
        else:
            yield stated(f"{what}, images/s", rate.value, new[key][1].value, ELSEWHERE)
    for key in new.keys() - old.keys():
        yield stated(f"{key[0]}, batch {key[1]}", None, new[key][1].value, "was not measured before")


def _vanished(what: str, row: Mapping[str, Any], value: float, reason: str) -> Change:
    """A plan that is gone is a regression; a peer's absence says nothing of ganport."""
    why = f"not measured now: {reason}"
    if row.get("kind") == "plan" and row.get("correct", True):
        return Change(what, value, None, "worse", why)
    return stated(what, value, None, why)


def _fault(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    if old.get("correct", True) and not new.get("correct", True):
        return f"its images were right and are wrong now: {new.get('note') or 'no note'}"
    before, now = old.get("psnr_db"), new.get("psnr_db")
    if isinstance(before, int | float) and isinstance(now, int | float) and now < min(before, EXACT_DB) - PSNR_DB:
        return f"its PSNR fell from {before:.1f} to {now:.1f} dB"
    worst, is_now = documents.worst_db(old), documents.worst_db(new)
    if worst is not None and is_now is not None and is_now < min(worst, EXACT_DB) - WORST_DB:
        return f"the PSNR of its worst image fell from {worst:.1f} to {is_now:.1f} dB"
    return ""


def _ratios(old: Document, new: Document, threshold: float) -> Iterator[Change]:
    """Over one and the same peer: another one would be another question."""
    now = {what: (figure, peer) for what, figure, peer in documents.ratios(new)}
    before = list(documents.ratios(old))
    noise = noise_of((), len(before))
    for what, figure, peer in before:
        if what not in now:
            yield stated(what, figure.value, None, "not measured now")
        elif now[what][1] != peer:
            yield stated(what, figure.value, now[what][0].value, f"the peer was {peer} and is {now[what][1]}")
        else:
            yield judge(what, figure, now[what][0], noise, more_is_better=True, threshold=threshold)


def _starts(old: Document, new: Document, threshold: float, is_comparable: bool) -> Iterator[Change]:
    now = {what: figure for what, figure, _ in documents.starts(new)}
    before = list(documents.starts(old))
    both = [(figure, now[what], is_own) for what, figure, is_own in before if what in now]
    noise = noise_of([(was, is_now) for was, is_now, is_own in both if not is_own], sum(is_own for *_, is_own in both))
    for what, figure, is_own in before:
        if what not in now:
            yield stated(what, figure.value, None, "not measured now")
        elif not is_comparable or not is_own:
            why = ELSEWHERE if is_own else "ganport has no part in it"
            yield stated(what, figure.value, now[what].value, why)
        else:
            yield judge(what, figure, now[what], noise, more_is_better=False, threshold=threshold)


def _wrong(old: Document, new: Document) -> Iterator[Change]:
    before = dict(documents.wrong(old))
    for what, is_wrong in documents.wrong(new):
        if is_wrong and not before.get(what, True):
            yield Change(what, None, None, "worse", "its answers were right and some are wrong now")


def _singles(old: Document, new: Document) -> Iterator[Change]:
    now = {what: value for what, value, _ in documents.singles(new)}
    for what, value, unit in documents.singles(old):
        why = "without an interval" if what in now else "not measured now"
        yield stated(f"{what}, {unit}", value, now.get(what), why)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Hardware that differs, without which figures of one kind cannot be compared."""
    found = [(name, _hardware(old, name), _hardware(new, name)) for name in HARDWARE]
    return [
        f"OTHER HARDWARE, so that only ratios to the peers are judged: {name} was {before}, is {now}"
        for name, before, now in found
        if before != now
    ]


def _hardware(machine: Mapping[str, Any], name: str) -> object:
    value = machine.get(name)
    if isinstance(value, list):
        return [one.get("name") if isinstance(one, dict) else one for one in value]
    return [] if value is None and name == "gpus" else value


def _remarks(old: Document, new: Document) -> Iterator[str]:
    before, now = documents.versions(old), documents.versions(new)
    pairs = ((name, before.get(name), now.get(name)) for name in sorted({*before, *now}))
    moved = [f"{name} {was or 'none'} -> {is_now or 'none'}" for name, was, is_now in pairs if was != is_now]
    if moved:
        yield f"other versions: {', '.join(moved)}"
    digests = {documents.digest(one) for one in (old, new)} - {None}
    if len(digests) > 1:
        yield "another bundle was measured: what differs may be its doing"
    if bool(old.get("is_quick")) != bool(new.get("is_quick")):
        yield "one of both is quick: its intervals are wide"
    for name, one in (("old", old), ("new", new)):
        load = one["machine"].get("load_average_1min")
        if isinstance(load, int | float) and load > BUSY:
            yield f"the machine was busy before the {name} run (load {load:.1f}): expect noise"
