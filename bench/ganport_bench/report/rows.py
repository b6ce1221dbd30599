"""The document's rows: everyone's speed at a batch size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from ganport_bench.timing import Estimate

__all__ = ["Document", "Row", "batches_of", "rows_of", "systems_of"]

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One system at one batch size.

    Attributes:
        system: its name.
        kind: `peer` or `plan`.
        precision: what it computes with.
        batch: images a call.
        rate: images a second.
        rounds: of measuring; None where the document does not say.
        is_wide: whether the interval stayed wider than it should be.
        latency_ms: of a call, by percentile (`p50`), without those that are not known.
        samples: calls that the percentiles are of; None where the document does not say.
        transfers: what of copies is timed.
        psnr_db: mean over the images; None where they could not be compared.
        worst_db: the lowest of any image.
        is_right: whether the images are.
        share: of this machine's ceiling; None where there is no ceiling for it.
        settings: the best that were found.
        note: what else there is to say.
    """

    system: str
    kind: str
    precision: str
    batch: int
    rate: Estimate
    rounds: int | None
    is_wide: bool
    latency_ms: Mapping[str, float]
    samples: int | None
    transfers: str
    psnr_db: float | None
    worst_db: float | None
    is_right: bool
    share: float | None
    settings: Mapping[str, str]
    note: str

    @classmethod
    def read(cls, row: Document) -> Self:
        """A row of a document of either format."""
        return cls(
            system=row["system"],
            kind=row["kind"],
            precision=row["precision"],
            batch=row["batch"],
            rate=Estimate(row["images_per_second"], row["low"], row["high"]),
            rounds=row.get("rounds"),
            is_wide=row.get("is_wide", False),
            latency_ms={name: value for name, value in row["latency_ms"].items() if value is not None},
            samples=row.get("samples"),
            transfers=row.get("transfers", ""),
            psnr_db=row["psnr_db"],
            worst_db=(row.get("difference") or {}).get("psnr_db_worst"),
            is_right=row["correct"],
            share=row["share_of_ceiling"],
            settings=row.get("settings", {}),
            note=row.get("note", ""),
        )

    @property
    def is_plan(self) -> bool:
        """Whether it is ganport's own."""
        return self.kind == "plan"

    @property
    def marks(self) -> str:
        """What must be seen beside its speed: ` WRONG`, ` wide`, or empty."""
        return ("" if self.is_right else " WRONG") + (" wide" if self.is_wide else "")


def rows_of(document: Document) -> list[Row]:
    """All rows; none where speed was not measured."""
    return [Row.read(row) for row in document.get("rows", ())]


def batches_of(rows: Sequence[Row]) -> list[int]:
    """Batch sizes, rising."""
    return sorted({row.batch for row in rows})


def systems_of(rows: Sequence[Row]) -> list[str]:
    """Everyone's name, the fastest at the largest batch size first."""
    rates: dict[str, tuple[int, float]] = {}
    for row in rows:
        rates[row.system] = max(rates.get(row.system, (0, 0.0)), (row.batch, row.rate.value))
    return sorted(rates, key=lambda system: rates[system], reverse=True)
