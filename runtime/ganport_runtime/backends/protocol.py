"""What a backend offers: a reason why it cannot run here, or sessions opened from a bundle's entries."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from ganport_runtime.errors import PlanError, shown
from ganport_runtime.machine import usable_cores
from ganport_runtime.manifest import Entry


@dataclass(frozen=True)
class Tensor:
    """An input or output of a graph; dimensions that are not fixed are None."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class Session(Protocol):
    """A loaded graph or engine. `run` may be called by several threads at once.

    Attributes:
        provider: what runs the graph, as the engine itself reports it.
        options: what the engine was told, beside its defaults.
        precision: the coarsest numbers that it really computes with or stores weights in: `fp32`, `bf16`, `fp16`,
            `int8`.
        pads_to_bucket: whether the batch is to be one of the buckets' sizes, padded where it is smaller.
        is_sized: whether it holds a model, a profile or a graph for each bucket, any of which may be wrong alone.
        inputs: the graph's inputs.
        outputs: the graph's outputs.
    """

    provider: str
    options: Mapping[str, str]
    precision: str
    pads_to_bucket: bool
    is_sized: bool
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Compute the named outputs alone, into arrays that are the caller's to keep and to write to.

        Raises:
            PlanError: the engine failed; the text has its reason.
            ClosedError: the session is closed.
        """

    def close(self) -> None:
        """Let go of what the engine holds, once the runs under way are done. Closing twice does no harm."""


class Backend(Protocol):
    """One inference library.

    Attributes:
        devices: the devices that it can drive, fastest first: `cuda`, `cpu`.
    """

    devices: tuple[str, ...]

    def refusal(self, device: str) -> str | None:
        """Why it cannot run on `device` here, with the remedy, or None where it can; opens nothing.

        It is asked at every opening of a bundle, so it imports a library only where that library is quick to import.
        """

    def entry_refusal(self, entry: Entry, device: str) -> str | None:
        """Why it cannot run this entry on `device`, every misfit in one line, or None where it can; opens nothing."""

    def choices(self, entry: Entry, device: str) -> tuple[Mapping[str, str], ...]:
        """The options worth measuring for this entry, the default first; imports no library."""

    def version(self) -> str:
        """The library's version; only where `refusal` is None for some device."""

    def open(
        self, model: bytes | Path, *, entry: Entry, device: str, threads: int | None, options: Mapping[str, str] = {}
    ) -> Session:
        """Load a graph or an engine onto a device.

        Args:
            model: the entry's file: its bytes, or a path to load it from at once.
            entry: what the file is; `entry_refusal` is None for it.
            device: one of `devices`.
            threads: CPU threads for one run, or None for what `options` say, and then the library's own default.
            options: one of `choices`, or others that the backend knows: plain words to plain words, such as
                `{"threads": "2", "precision_hint": "bf16"}`; what is not named is left open.

        Raises:
            PlanError: the device cannot be used after all, or an option is unknown or did not take effect.
            BundleError: the library cannot load the file.
        """


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
