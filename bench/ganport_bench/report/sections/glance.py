"""At a glance: the best at each batch size, what was promised, and whose images are wrong."""

from collections.abc import Iterator, Mapping
from typing import Any

from ganport_bench.report.html import Html, paragraph, table, tag
from ganport_bench.report.rows import Document, Row, rows_of
from ganport_bench.report.text import estimate, number

__all__ = ["glance"]

RATIOS = {
    "best_plan_over_best_peer_fp32": "best plan over best fp32 peer",
    "best_plan_over_best_peer": "best plan over best peer",
    "best_exact_plan_over_best_peer_fp32": "best exact plan over best fp32 peer",
}
NAMES = {
    "best_plan": "best plan",
    "best_exact_plan": "best exact plan",
    "best_peer": "best peer",
    "best_peer_fp32": "best fp32 peer",
}


def glance(document: Document) -> Iterator[Html]:
    """Cards, the summary, the targets and the wrong ones."""
    rows = rows_of(document)
    rates = {(row.system, str(row.batch)): row.rate.value for row in rows}
    summary = document.get("summary", {})
    yield tag("div", *(_card(batch, best, rates) for batch, best in summary.items()), class_="cards")
    yield _wrong(rows)
    yield table(
        ("", *(f"batch {batch}" for batch in summary)),
        [
            *((title, *(_named(best.get(key), batch, rates) for batch, best in summary.items()))
              for key, title in NAMES.items()),
            *((title, *(estimate(best.get(key), "x") or "nothing to compare" for best in summary.values()))
              for key, title in RATIOS.items()),
        ],
    )  # fmt: skip
    if document.get("targets"):
        yield tag("h3", "What was promised")
        yield table(("at", "measured", "wanted", "reached", "who"), map(_target, document["targets"]))


def _card(batch: str, best: Mapping[str, Any], rates: Mapping[tuple[str, str], float]) -> Html:
    rate = rates.get((best.get("best_plan") or "", batch))
    over = estimate(best.get("best_plan_over_best_peer_fp32"), "x")
    return tag(
        "div",
        tag("p", f"batch {batch}", class_="quiet"),
        tag("p", "no plan is right" if rate is None else f"{number(rate)} images/s", class_="large"),
        paragraph(best.get("best_plan") or ""),
        tag("p", f"{over} the best fp32 peer" if over else "no fp32 peer beside it", class_="quiet"),
        class_="card",
    )


def _named(name: str | None, batch: str, rates: Mapping[tuple[str, str], float]) -> str:
    if name is None:
        return "none"
    rate = rates.get((name, batch))
    return name if rate is None else f"{name}: {number(rate)} images/s"


def _wrong(rows: list[Row]) -> Html:
    found: dict[str, list[str]] = {}
    for row in rows:
        if not row.is_right:
            found.setdefault(row.system, []).append(str(row.batch))
    if not found:
        return paragraph(f"Wrong images: none of {len({row.system for row in rows})} systems.")
    told = "; ".join(f"{system} (batch {', '.join(batches)})" for system, batches in found.items())
    return paragraph(tag("span", "WRONG images: ", class_="wrong"), told)


def _target(target: Mapping[str, Any]) -> tuple[str, ...]:
    unit = "x" if target["unit"] == "x" else f" {target['unit']}"
    details = target["details"]
    who = " over ".join(str(details[side]) for side in ("plan", "peer") if side in details)
    reached = "yes" if target["is_reached"] else "no"
    doubt = "" if target["is_certain"] else ", within the noise"
    measured = estimate(target["estimate"], unit) or "nothing to compare"
    return target["title"], measured, f"{number(target['wanted'])}{unit}", reached + doubt, who
