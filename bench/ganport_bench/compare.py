"""Compares two documents of `ganport bench`: tells real changes from noise, and says what cannot be compared.

How far two runs may lie apart by chance: the interval of a ratio new / old is put together on a logarithmic scale from
the distances of both intervals' ends from their values (MOVER, Zou and Donner 2008), as independent errors: its lower
end from old's upper and new's lower, its upper end from the other two. The interval of one run does not know how runs
differ (where memory lies, what else the machine does). Peers, bare sessions and other people's imports are the same
code in both runs; what their ratios scatter beyond their own intervals is added to all. A common slowdown of the
machine is not corrected for. The more ratios are judged, the wider all intervals are (Bonferroni): all together hold
with 95 %.
"""

import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist, median
from typing import Any, Literal

from ganport_bench.errors import BenchError
from ganport_bench.figures import EXACT_DB
from ganport_bench.machine import BUSY
from ganport_bench.tables import Table, number
from ganport_bench.timing import Estimate

Document = Mapping[str, Any]
Pair = tuple[Estimate, Estimate]
Verdict = Literal["worse", "better", "same", "not judged"]

FORMATS = (1, 2)
THRESHOLD = 0.03  # of the old value: a change that is real and smaller breaks nobody's build
START_THRESHOLD = 0.1  # fresh processes differ more from run to run than calls within one
PSNR_DB = 1.0  # that a system may lose; above `EXACT_DB` only rounding is left to lose
WORST_DB = 6.0  # that the worst image may lose: which one it is differs with the arithmetic
CONFIDENCE = 0.95
LEAST_CONTROLS = 5  # ratios of unchanged code, below which their scatter is not known
DEVIATIONS = 1.4826  # standard deviations in a median absolute deviation of normal errors
USUAL = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)  # deviations in the intervals that documents have
ELSEWHERE = "another machine"
NOT_OURS = "ganport has no part in it"


@dataclass(frozen=True)
class Change:
    """One thing, before and now."""

    what: str  # is compared
    old: float | None  # value, or None
    new: float | None  # value, or None
    verdict: Verdict  # `worse` is a regression
    why: str = ""  # in words, where the numbers do not say it
    ratio_low: float | None = None  # of the interval of new over old; None where it was not judged
    ratio_high: float | None = None  # likewise

    @property
    def ratio(self) -> float | None:
        """New over old."""
        return None if self.old is None or self.new is None or not self.old else self.new / self.old

    def to_json(self) -> dict[str, Any]:
        """Its part of the document."""
        return {**asdict(self), "ratio": self.ratio}


@dataclass(frozen=True)
class Regression:
    """What changed."""

    changes: Sequence[Change]  # all that was compared
    remarks: Sequence[str]  # what a reader must know of it, a line each

    @property
    def is_regression(self) -> bool:
        """Whether anything is worse."""
        return any(change.verdict == "worse" for change in self.changes)

    def to_json(self) -> dict[str, Any]:
        """Its document."""
        changes = [change.to_json() for change in self.changes]
        return {"is_regression": self.is_regression, "changes": changes, "remarks": list(self.remarks)}

    def table(self) -> Table:
        """What got worse first, then what got better, then what was not judged; and how much stayed the same."""
        order = ("worse", "better", "not judged")
        shown = sorted((one for one in self.changes if one.verdict in order), key=lambda one: order.index(one.verdict))
        counts = {word: sum(one.verdict == word for one in self.changes) for word in ("worse", "better", "same")}
        total = ", ".join(f"{count} {word}" for word, count in counts.items())
        last = f"{total}: {'a regression' if self.is_regression else 'no regression'}"
        rows = [(one.verdict, one.what, number(one.old), number(one.new), _ratio_text(one), one.why) for one in shown]
        columns = ("verdict", "what", "old", "new", "new/old", "why") if rows else ()
        return Table("What changed" if rows else "", columns, rows, "\n".join([*self.remarks, last]))


def _ratio_text(change: Change) -> str:
    if change.ratio is None:
        return ""
    low, high = change.ratio_low, change.ratio_high
    return f"{change.ratio:.3f}" + ("" if low is None or high is None else f" ({low:.3f} to {high:.3f})")


@dataclass(frozen=True)
class Noise:
    """What is to be expected of a ratio."""

    scatter: float = 0.0  # between the runs, a standard deviation of the ratio's natural logarithm
    deviations: float = USUAL  # that an interval takes to either side

    def ratio(self, old: Estimate, new: Estimate) -> Estimate:
        """New over old, with its interval."""
        value = new.value / old.value
        down = self._width(math.log(new.value / new.low), math.log(old.high / old.value))
        up = self._width(math.log(new.high / new.value), math.log(old.value / old.low))
        return Estimate(value, value * math.exp(-down), value * math.exp(up))

    def _width(self, *distances: float) -> float:
        return self.deviations * math.hypot(*(distance / USUAL for distance in distances), self.scatter)

    def judge(self, what: str, old: Estimate, new: Estimate, *, more_is_better: bool, threshold: float) -> Change:
        """A change is real if the ratio's interval does not hold 1, and counts if it is beyond the threshold."""
        ratio = self.ratio(old, new)
        is_large = abs(ratio.value - 1) > threshold
        verdict: Verdict = "same"
        if is_large and not ratio.low <= 1 <= ratio.high:
            verdict = "better" if (ratio.value > 1) == more_is_better else "worse"
        why = f"within the noise: {ratio.low:.2f} to {ratio.high:.2f}" if is_large and verdict == "same" else ""
        return Change(what, old.value, new.value, verdict, why, ratio.low, ratio.high)


def _noise_of(controls: Sequence[Pair], judged: int) -> Noise:
    """The noise between two runs, from old and new of what ganport has no part in, for so many ratios."""
    deviations = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / 2 / max(1, judged))
    if len(controls) < LEAST_CONTROLS:
        return Noise(0.0, deviations)
    # By medians, so that a few controls that did change do not count; beyond what their own intervals explain.
    ratios = [Noise().ratio(*pair) for pair in controls]
    logarithms = [math.log(ratio.value) for ratio in ratios]
    middle = median(logarithms)
    seen = DEVIATIONS * median(abs(one - middle) for one in logarithms)
    expected = median(math.log(ratio.high / ratio.low) / 2 / USUAL for ratio in ratios)
    return Noise(math.sqrt(max(0.0, seen**2 - expected**2)), deviations)


# A document may come from anywhere: what has another form than expected is left out


def read_document(path: Path) -> Document:
    """Read what `ganport bench --json` printed. Raises BenchError: it cannot be read, or is no such document."""
    wanted = "wanted what `ganport bench --json` prints"
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise BenchError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise BenchError(f"{path} is no JSON ({error}); {wanted}") from None
    fault = _fault(document)
    if fault:
        raise BenchError(f"{path}: {fault}; {wanted}")
    return _object(document)


def _fault(document: object) -> str:
    if not isinstance(document, dict):
        return "the document is no object"
    if document.get("format") not in FORMATS:
        return f"its format is {document.get('format')!r}, known are {' and '.join(map(str, FORMATS))}"
    rows = document.get("rows", [])
    if not isinstance(document.get("machine"), dict) or not isinstance(rows, list):
        return "it lacks machine or rows, or holds them in another form"
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or not isinstance(row.get("system"), str) or type(row.get("batch")) is not int:
            return f"rows[{index}] names no system or no batch size"
        if _estimate(row, "images_per_second") is None:
            return f"rows[{index}], {row['system']}: images_per_second, low and high must be numbers above 0"
    return ""


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _estimate(found: Mapping[str, Any], key: str = "value") -> Estimate | None:
    """The value and its interval; None where a number is missing, not finite or not above 0."""
    numbers = [number for name in (key, "low", "high") if (number := _number(found.get(name))) is not None]
    if len(numbers) < 3 or not all(math.isfinite(number) and number > 0 for number in numbers):
        return None
    return Estimate(*numbers)


def compare_documents(old: Document, new: Document, *, threshold: float = THRESHOLD) -> Regression:
    """Compare what two runs of the benchmark found.

    Speeds and starts are judged on one machine alone; on another one, how many times as fast as a peer the plans are.
    Images that became wrong or worse, and plans that are gone, are regressions anywhere.
    """
    others = _other_hardware(old["machine"], new["machine"])
    is_comparable = not others
    changes = [
        *_rows(old, new, threshold, is_comparable),
        *([] if is_comparable else _ratios(old, new, threshold)),
        *_starts(old, new, max(threshold, START_THRESHOLD), is_comparable),
        *_wrong_answers(old, new),
        *_singles(old, new),
    ]
    return Regression(changes, [*others, *_remarks(old, new)])


def _rates(document: Document) -> dict[tuple[str, int], tuple[Mapping[str, Any], Estimate]]:
    rows = [(row, _estimate(row, "images_per_second")) for row in document.get("rows", [])]
    return {(row["system"], row["batch"]): (row, rate) for row, rate in rows if rate is not None}


def _rows(old: Document, new: Document, threshold: float, is_comparable: bool) -> Iterator[Change]:
    before, now = _rates(old), _rates(new)
    both = {key: (rate, now[key][1]) for key, (_, rate) in before.items() if key in now}
    noise = _noise_of([pair for key, pair in both.items() if before[key][0].get("kind") == "peer"], len(both))
    for key, (row, rate) in before.items():
        what = f"{key[0]}, batch {key[1]}"
        if key not in now:
            yield _vanished(what, row, rate.value, new)
        elif fault := _image_fault(row, now[key][0]):
            yield Change(what, rate.value, now[key][1].value, "worse", fault)
        elif is_comparable:
            yield noise.judge(f"{what}, images/s", *both[key], more_is_better=True, threshold=threshold)
        else:
            yield Change(f"{what}, images/s", rate.value, now[key][1].value, "not judged", ELSEWHERE)
    for key in now.keys() - before.keys():
        what = f"{key[0]}, batch {key[1]}"
        yield Change(what, None, now[key][1].value, "not judged", "was not measured before")


def _vanished(what: str, row: Mapping[str, Any], value: float, document: Document) -> Change:
    """A plan that is gone is a regression, unless nothing was measured there; a peer's absence says nothing."""
    batch, missing = row["batch"], _object(document.get("missing"))
    skipped = _object(document.get("skipped")).get("speed")
    if any(one["batch"] == batch for one in document.get("rows", [])) or (skipped is None and str(batch) in missing):
        why = _object(missing.get(str(batch))).get(row["system"], "the new document does not say why")
        is_worse = row.get("kind") == "plan" and row.get("correct", True)
    else:
        why, is_worse = skipped or "nothing was measured at this batch size", False
    return Change(what, value, None, "worse" if is_worse else "not judged", f"not measured now: {why}")


def _image_fault(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    if old.get("correct", True) and not new.get("correct", True):
        return f"its images were right and are wrong now: {new.get('note') or 'no note'}"
    means = _number(old.get("psnr_db")), _number(new.get("psnr_db"))
    worst = tuple(_number(_object(row.get("difference")).get("psnr_db_worst")) for row in (old, new))
    for (before, now), most, what in ((means, PSNR_DB, "its PSNR"), (worst, WORST_DB, "the PSNR of its worst image")):
        if before is not None and now is not None and now < min(before, EXACT_DB) - most:
            return f"{what} fell from {before:.1f} to {now:.1f} dB"
    return ""


def _ratios(old: Document, new: Document, threshold: float) -> Iterator[Change]:
    """How many times as fast the best plans are as one and the same peer."""
    before, now = dict(_best_ratios(old)), dict(_best_ratios(new))
    noise = _noise_of((), len(before))
    for what, (found, peer) in before.items():
        if what not in now:
            yield Change(what, found.value, None, "not judged", "not measured now")
        elif now[what][1] != peer:
            why = f"the peer was {peer} and is {now[what][1]}"
            yield Change(what, found.value, now[what][0].value, "not judged", why)
        else:
            yield noise.judge(what, found, now[what][0], more_is_better=True, threshold=threshold)


def _best_ratios(document: Document) -> Iterator[tuple[str, tuple[Estimate, str]]]:
    for batch, summary in _object(document.get("summary")).items():
        for name, one in _object(summary).items():
            if found := _estimate(_object(one)):
                peer = str(summary.get(name.partition("_over_")[2]))
                yield f"batch {batch}: {name.replace('_', ' ')}", (found, peer)


def _starts(old: Document, new: Document, threshold: float, is_comparable: bool) -> Iterator[Change]:
    """What starting takes and how large it is: less is better."""
    before, now = dict(_quantities(old)), dict(_quantities(new))
    both = [(found, now[what][0], is_own) for what, (found, is_own) in before.items() if what in now]
    controls = [(was, is_now) for was, is_now, is_own in both if not is_own]
    noise = _noise_of(controls, sum(is_own for *_, is_own in both))
    for what, (found, is_own) in before.items():
        if what not in now:
            yield Change(what, found.value, None, "not judged", "not measured now")
        elif not is_comparable or not is_own:
            yield Change(what, found.value, now[what][0].value, "not judged", ELSEWHERE if is_own else NOT_OURS)
        else:
            yield noise.judge(what, found, now[what][0], more_is_better=False, threshold=threshold)


def _quantities(document: Document) -> Iterator[tuple[str, tuple[Estimate, bool]]]:
    start = _object(document.get("start"))
    bare = {str(way.get("name")) for way in _objects(start.get("ways")) if way.get("kind") == "bare"}
    for one in _objects(start.get("quantities")):
        words = [str(one[key]) for key in ("system", "what", "batch") if one.get(key) is not None]
        if found := _estimate(one):
            yield f"start: {', '.join(words)}, {one.get('unit')}", (found, _is_own(one, bare))


def _is_own(quantity: Mapping[str, Any], bare: Collection[str]) -> bool:
    system = str(quantity.get("system"))
    is_foreign = quantity.get("part") in ("import", "installed") and not system.startswith("ganport")
    return not is_foreign and system not in bare


def _wrong_answers(old: Document, new: Document) -> Iterator[Change]:
    before = dict(_answers(old))
    for what, is_wrong in _answers(new):
        if is_wrong and not before.get(what, True):
            yield Change(what, None, None, "worse", "its answers were right and some are wrong now")


def _answers(document: Document) -> Iterator[tuple[str, bool]]:
    for one in _objects(_object(document.get("scenarios")).get("results")):
        yield f"{one.get('scenario')}", one.get("correct") is False
    load = _object(document.get("load"))
    if rows := [*_objects(load.get("rates")), *_objects(load.get("concurrency"))]:
        yield "server under load", any(one.get("correct") is False for one in rows)


def _singles(old: Document, new: Document) -> Iterator[Change]:
    """Figures without an interval are shown and not judged: scenarios, and the server's knee."""
    now = dict(_single_values(new))
    for what, value in _single_values(old):
        why = "without an interval" if what in now else "not measured now"
        yield Change(what, value, now.get(what), "not judged", why)


def _single_values(document: Document) -> Iterator[tuple[str, float]]:
    for one in _objects(_object(document.get("scenarios")).get("results")):
        if (value := _number(one.get("value"))) is not None:
            yield f"{one.get('scenario')}: {one.get('metric')}, {one.get('unit', '')}", value
    for arrivals, one in _object(_object(document.get("load")).get("knee")).items():
        if (held := _number(_object(one).get("held_per_second"))) is not None:
            yield f"server, {arrivals} arrivals: knee, requests/s", held


def _other_hardware(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    found = [(name, _hardware(old, name), _hardware(new, name)) for name in ("cpu", "cores", "gpus")]
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
    before, now = (_object(one["machine"].get("packages")) for one in (old, new))
    pairs = ((name, before.get(name), now.get(name)) for name in sorted({*before, *now}))
    moved = [f"{name} {was or 'none'} -> {is_now or 'none'}" for name, was, is_now in pairs if was != is_now]
    if moved:
        yield f"other versions: {', '.join(moved)}"
    digests = [_object(one.get("model")).get("bundle_digest") for one in (old, new)]
    if None not in digests and digests[0] != digests[1]:
        yield "another bundle was measured: what differs may be its doing"
    if bool(old.get("is_quick")) != bool(new.get("is_quick")):
        yield "one of both is quick: its intervals are wide"
    for name, one in (("old", old), ("new", new)):
        load = _number(one["machine"].get("load_average_1min"))
        if load is not None and load > BUSY:
            yield f"the machine was busy before the {name} run (load {load:.1f}): expect noise"
