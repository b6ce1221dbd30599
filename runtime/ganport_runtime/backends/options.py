"""Reads a plan's options: an unknown one is an error, never ignored."""

import re
from collections.abc import Mapping, Sequence

from ganport_runtime.errors import PlanError
from ganport_runtime.processor import usable_cores
from ganport_runtime.text import shown

__all__ = ["NUMBER", "check_options", "number", "thread_choices", "thread_count"]

NUMBER = ()  # the values of an option that is a whole number, 1 or more
PLAIN_NUMBER = re.compile(r"[0-9]{1,4}")
MOST = 1024


def check_options(backend: str, options: Mapping[str, str], known: Mapping[str, Sequence[str]]) -> None:
    """See that every option is known and has one of its values.

    Args:
        backend: its name, for the message.
        options: what a plan asks for.
        known: the values of each option that the backend knows; none for a whole number, 1 or more.

    Raises:
        PlanError: one is not; the text names it and what is wanted.
    """
    for key, value in options.items():
        if key not in known:
            raise PlanError(f"{backend} has no option {shown(key)}, wanted {', '.join(known) or 'none'}")
        if known[key] and value not in known[key]:
            raise PlanError(f"{backend} option {key} is {shown(value)}, wanted {' or '.join(known[key])}")
        if not known[key] and not (PLAIN_NUMBER.fullmatch(value) and 1 <= int(value) <= MOST):
            raise PlanError(f"{backend} option {key} is {shown(value)}, wanted a whole number from 1 to {MOST}")


def number(options: Mapping[str, str], key: str) -> int | None:
    """A checked whole number, or None where the option is left open."""
    return int(options[key]) if key in options else None


def thread_count(threads: int | None, options: Mapping[str, str]) -> int | None:
    """The threads that the caller asked for, or else the plan's, or None for the library's own default."""
    return number(options, "threads") if threads is None else threads


def thread_choices() -> tuple[int, ...]:
    """Thread counts worth measuring here beside the library's default: one, and half of the usable cores."""
    return tuple(sorted({1, max(1, usable_cores() // 2)}))
