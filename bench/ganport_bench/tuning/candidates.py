"""Lists what is to be measured: each entry on each backend, with its default options and with others."""

from collections.abc import Iterator
from dataclasses import dataclass

from ganport_runtime.backends import BACKENDS, load_backend
from ganport_runtime.bundle import Bundle
from ganport_runtime.entries import Role
from ganport_runtime.plan import DEVICES, Candidate, Request
from ganport_runtime.survey import refusal_of

from ganport_bench.tuning.result import RefusedPlan

__all__ = ["Family", "families"]

PRECISIONS = ("int8", "bf16", "fp32", "fp16", "unknown")  # in the order in which a winner is likely


@dataclass(frozen=True)
class Family:
    """Plans that differ in options alone, not in entry, backend, device or precision.

    Attributes:
        first: with the backend's default options.
        others: with the other options that the backend thinks worth measuring.
    """

    first: Candidate
    others: tuple[Candidate, ...]


def families(bundle: Bundle, role: Role) -> tuple[list[Family], list[RefusedPlan]]:
    """What this machine can run, the likeliest winners first, and every entry and backend that it cannot, with why."""
    found: list[Family] = []
    refused: list[RefusedPlan] = []
    for device in DEVICES:
        for name in BACKENDS:
            if device not in load_backend(name).devices:
                continue
            for entry in bundle.entries(role):
                reason = refusal_of(Candidate(entry, name, device), Request())
                if reason is None:
                    choices = load_backend(name).choices(entry, device)
                    found += _families(Candidate(entry, name, device, options) for options in choices)
                else:
                    refused.append(RefusedPlan.of(Candidate(entry, name, device), reason))
    return sorted(found, key=lambda family: PRECISIONS.index(family.first.precision)), refused


def _families(candidates: Iterator[Candidate]) -> Iterator[Family]:
    """By the numbers that are asked for: precision, and what an int8 graph's float layers are to compute in."""
    grouped: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        grouped.setdefault(candidate.options.get("precision_hint", ""), []).append(candidate)
    for first, *others in grouped.values():
        yield Family(first, tuple(others))
