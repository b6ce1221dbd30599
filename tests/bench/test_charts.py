"""Charts are made of a document alone."""

from typing import Any

from ganport_bench.charts import CHARTS, pareto_front
from hypothesis import given
from hypothesis import strategies as st


def row(rate: float, psnr: float | None, *, is_right: bool = True) -> dict[str, Any]:
    facts = {"system": f"{rate} {psnr}", "kind": "plan", "precision": "int8", "batch": 1, "images_per_second": rate}
    latency = {"p50": 1.0, "p99.9": None}
    others = {"psnr_db": psnr, "correct": is_right, "share_of_ceiling": None}
    return {**facts, "low": rate, "high": rate, "latency_ms": latency, **others}


@given(st.lists(st.tuples(st.floats(1, 1e4), st.none() | st.floats(20, 100), st.booleans()), max_size=12))
def test_none_beats_what_is_on_the_front(found: list[tuple[float, float | None, bool]]) -> None:
    rows = [row(rate, psnr, is_right=is_right) for rate, psnr, is_right in found]
    front = pareto_front(rows)
    right = [one for one in rows if one["correct"]]
    assert all(one["correct"] for one in front)
    assert bool(front) == bool(right)
    for one in front:
        assert not [other for other in right if other["images_per_second"] > one["images_per_second"]
                    and (other["psnr_db"] or 0) > (one["psnr_db"] or 0)]  # fmt: skip


def test_a_document_without_material_has_no_charts() -> None:
    assert [make({"format": 2}) for make in CHARTS] == [None] * len(CHARTS)


def test_one_row_without_shares_or_psnr_has_the_charts_of_its_speed() -> None:
    drawn = {make.__name__ for make in CHARTS if make({"rows": [row(100.0, None)]}) is not None}
    assert drawn == {"throughput", "percentiles"}
