"""Compares two documents: speeds, correctness, what is missing, the start; and says where they cannot be compared."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganport_bench.regression import documents
from ganport_bench.regression.documents import Document
from ganport_bench.regression.judgement import THRESHOLD, Change, judge, stated

__all__ = ["Regression", "compare_documents"]

PSNR_DB = 1.0  # that a system may lose
HARDWARE = ("cpu", "cores", "gpus")
ALONE = "without an interval"


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

    On other hardware one thing alone is judged: how many times as fast as the peers beside them the plans are.

    Args:
        old: as `read_document` gives it.
        new: likewise.
        threshold: share of the old value that a change must exceed.
    """
    others = _differences(old["machine"], new["machine"])
    is_comparable = not others
    changes = [
        *_rows(old, new, threshold, is_comparable),
        *_pairs(documents.ratios(old), documents.ratios(new), threshold, is_judged=True, more_is_better=True),
        *_pairs(documents.starts(old), documents.starts(new), threshold, is_judged=is_comparable, more_is_better=False),
        *_singles(old, new),
    ]
    return Regression(changes, [*others, *_versions(old["machine"], new["machine"]), *_efforts(old, new)])


def _rows(old: Document, new: Document, threshold: float, is_comparable: bool) -> Iterator[Change]:
    before = {key: (row, rate) for key, row, rate in documents.rates(old)}
    now = {key: (row, rate) for key, row, rate in documents.rates(new)}
    for key, (row, rate) in before.items():
        what = f"{key[0]}, batch {key[1]}"
        if key not in now:
            yield _vanished(what, row, rate.value, documents.missing(new, key))
            continue
        row_now, rate_now = now[key]
        fault = _fault(row, row_now)
        if fault:
            yield Change(what, rate.value, rate_now.value, "worse", fault)
        elif is_comparable:
            yield judge(f"{what}, images/s", rate, rate_now, more_is_better=True, threshold=threshold)
        else:
            yield stated(f"{what}, images/s", rate.value, rate_now.value, "another machine")
    for key in now.keys() - before.keys():
        yield stated(f"{key[0]}, batch {key[1]}", None, now[key][1].value, "was not measured before")


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
    if isinstance(before, int | float) and isinstance(now, int | float) and now < before - PSNR_DB:
        return f"its PSNR fell from {before:.1f} to {now:.1f} dB"
    return ""


def _pairs(
    old: Iterator[tuple[str, Any]],
    new: Iterator[tuple[str, Any]],
    threshold: float,
    *,
    is_judged: bool,
    more_is_better: bool,
) -> Iterator[Change]:
    now = dict(new)
    for what, figure in old:
        if what not in now:
            yield stated(what, figure.value, None, "not measured now")
        elif is_judged:
            yield judge(what, figure, now[what], more_is_better=more_is_better, threshold=threshold)
        else:
            yield stated(what, figure.value, now[what].value, "another machine")


def _singles(old: Document, new: Document) -> Iterator[Change]:
    now = {what: value for what, value, _ in documents.singles(new)}
    for what, value, unit in documents.singles(old):
        yield stated(f"{what}, {unit}", value, now.get(what), ALONE if what in now else "not measured now")


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Hardware that differs, without which figures of one kind cannot be compared."""
    found = [(name, _hardware(old, name), _hardware(new, name)) for name in HARDWARE]
    return [
        f"other hardware, so that only ratios to the peers are judged: {name} was {before}, is {now}"
        for name, before, now in found
        if before != now
    ]


def _hardware(machine: Mapping[str, Any], name: str) -> object:
    value = machine.get(name)
    if isinstance(value, list):
        return [one.get("name") if isinstance(one, dict) else one for one in value]
    return [] if value is None and name == "gpus" else value


def _versions(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before, now = (one.get("packages") or {} for one in (old, new))
    pairs = ((name, before.get(name), now.get(name)) for name in sorted({*before, *now}))
    moved = [f"{name} {was or 'none'} -> {is_now or 'none'}" for name, was, is_now in pairs if was != is_now]
    return [f"other versions: {', '.join(moved)}"] if moved else []


def _efforts(old: Document, new: Document) -> list[str]:
    if bool(old.get("is_quick")) == bool(new.get("is_quick")):
        return []
    return ["one of both is quick: its intervals are wide"]
