"""Numbers as people read them."""

from collections.abc import Mapping
from typing import Any

__all__ = ["between", "estimate", "list_of", "mebibytes", "number", "per_cent", "shortened"]

MIB = 2**20


def number(value: float | None) -> str:
    """Three digits that count, or all before the point; empty where there is none."""
    if value is None:
        return ""
    size = abs(value)
    digits = 0 if size >= 100 or value == 0 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}" if size >= 0.01 or value == 0 else f"{value:.2g}"


def between(low: float | None, high: float | None) -> str:
    """An interval; empty where there is none."""
    return "" if low is None or high is None or low == high else f"{number(low)} to {number(high)}"


def estimate(document: Mapping[str, Any] | None, unit: str = "") -> str:
    """A value, its unit and its interval: `4.10x (4.00 to 4.34)`."""
    if document is None:
        return ""
    interval = between(document.get("low"), document.get("high"))
    return f"{number(document['value'])}{unit}" + (f" ({interval})" if interval else "")


def per_cent(share: float | None) -> str:
    """A share; empty where there is none."""
    return "" if share is None else f"{share:.0%}"


def mebibytes(size: float) -> str:
    """Bytes in MiB."""
    return number(size / MIB)


def list_of(values: Mapping[str, Any]) -> str:
    """`name value, name value`, without what is null."""
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not None)


def shortened(name: str, most: int) -> str:
    """A name of so many characters at most."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
