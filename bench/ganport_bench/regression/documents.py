"""Reads a document of `ganport bench` that may come from anywhere, and what of it can be compared."""

import json
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganport_bench.errors import BenchError

__all__ = ["Document", "Figure", "read_document"]

Document = Mapping[str, Any]
FORMATS = (1, 2)
PARTS = ("machine", "rows", "summary")


@dataclass(frozen=True)
class Figure:
    """A measured value with its interval.

    Attributes:
        value: above 0.
        low: of the interval.
        high: of the interval.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: object, low: object, high: object) -> "Figure | None":
        """The figure, or None where one of the numbers is missing, not finite or not above 0."""
        numbers = [float(one) for one in (value, low, high) if isinstance(one, int | float)]
        if len(numbers) < 3 or not all(math.isfinite(one) and one > 0 for one in numbers):
            return None
        return cls(*numbers)


def read_document(path: Path) -> Document:
    """Read what `ganport bench --json` printed.

    Raises:
        BenchError: it cannot be read, or is no such document.
    """
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
    return document  # type: ignore[no-any-return]


def _fault(document: object) -> str:
    if not isinstance(document, dict):
        return "the document is no object"
    if document.get("format") not in FORMATS:
        return f"its format is {document.get('format')!r}, known are {' and '.join(map(str, FORMATS))}"
    rows = document.get("rows", [])
    if not isinstance(document.get("machine"), dict) or not isinstance(rows, list):
        return f"it lacks one of {', '.join(PARTS)}, or holds it in another form"
    return next((fault for index, row in enumerate(rows) if (fault := _row_fault(index, row))), "")


def _row_fault(index: int, row: object) -> str:
    if not isinstance(row, dict) or not isinstance(row.get("system"), str) or type(row.get("batch")) is not int:
        return f"rows[{index}] names no system or no batch size"
    if _rate(row) is None:
        return f"rows[{index}], {row['system']}: images_per_second, low and high must be numbers above 0"
    return ""


def _rate(row: Mapping[str, Any]) -> Figure | None:
    return Figure.of(row.get("images_per_second"), row.get("low"), row.get("high"))


def rates(document: Document) -> Iterator[tuple[tuple[str, int], Mapping[str, Any], Figure]]:
    """Every row by system and batch size, with its images a second."""
    for row in document.get("rows", []):
        rate = _rate(row)
        if rate is not None:
            yield (row["system"], row["batch"]), row, rate


def starts(document: Document) -> Iterator[tuple[str, Figure, bool]]:
    """What starting takes and how large it is, less is better; and whether ganport has a part in it."""
    start = _object(document.get("start"))
    bare = {str(way.get("name")) for way in _objects(start.get("ways")) if way.get("kind") == "bare"}
    for one in _objects(start.get("quantities")):
        figure = Figure.of(one.get("value"), one.get("low"), one.get("high"))
        words = [str(one[key]) for key in ("system", "what", "batch") if one.get(key) is not None]
        if figure is not None:
            yield f"start: {', '.join(words)}, {one.get('unit')}", figure, _is_own(one, bare)


def _is_own(quantity: Mapping[str, Any], bare: Collection[str]) -> bool:
    system = str(quantity.get("system"))
    is_foreign = quantity.get("part") in ("import", "installed") and not system.startswith("ganport")
    return not is_foreign and system not in bare


def ratios(document: Document) -> Iterator[tuple[str, Figure, str]]:
    """How many times as fast as the best peers the best plans are, by batch size: more is better; and which peer."""
    for batch, summary in _object(document.get("summary")).items():
        for name, one in _object(summary).items():
            members = _object(one)
            figure = Figure.of(members.get("value"), members.get("low"), members.get("high"))
            if figure is not None:
                yield f"batch {batch}: {name.replace('_', ' ')}", figure, str(summary.get(name.partition("_over_")[2]))


def singles(document: Document) -> Iterator[tuple[str, float, str]]:
    """Figures without an interval, which are shown and not judged: scenarios, and the knee of the server."""
    for one in _objects(_object(document.get("scenarios")).get("results")):
        if isinstance(one.get("value"), int | float):
            yield f"{one.get('scenario')}: {one.get('metric')}", float(one["value"]), str(one.get("unit", ""))
    for arrivals, one in _object(_object(document.get("load")).get("knee")).items():
        held = _object(one).get("held_per_second")
        if isinstance(held, int | float):
            yield f"server, {arrivals} arrivals: knee", float(held), "requests/s"


def wrong(document: Document) -> Iterator[tuple[str, bool]]:
    """Parts whose answers were compared, and whether any was wrong: every scenario, and the server under load."""
    for one in _objects(_object(document.get("scenarios")).get("results")):
        yield f"{one.get('scenario')}", one.get("correct") is False
    load = _object(document.get("load"))
    rows = [*_objects(load.get("rates")), *_objects(load.get("concurrency"))]
    if rows:
        yield "server under load", any(one.get("correct") is False for one in rows)


def versions(document: Document) -> Mapping[str, Any]:
    """Of packages, by name."""
    return _object(_object(document.get("machine")).get("packages"))


def digest(document: Document) -> object:
    """Of the bundle; None where the document does not say."""
    return _object(document.get("model")).get("bundle_digest")


def worst_db(row: Mapping[str, Any]) -> float | None:
    """The PSNR of a row's worst image; None where the document does not say."""
    value = _object(row.get("difference")).get("psnr_db_worst")
    return float(value) if isinstance(value, int | float) else None


def unmeasured(document: Document, batch: int) -> str:
    """Why nobody was measured at a batch size; empty where somebody was, or should have been."""
    if any(row["batch"] == batch for row in document.get("rows", [])):
        return ""
    reason = _object(document.get("skipped")).get("speed")
    if reason is not None:
        return str(reason)
    return "" if str(batch) in _object(document.get("missing")) else "nothing was measured at this batch size"


def missing(document: Document, key: tuple[str, int]) -> str:
    """Why a system was not measured at a batch size, as far as the document says."""
    system, batch = key
    return str(
        _object(_object(document.get("missing")).get(str(batch))).get(system, "the new document does not say why")
    )


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
