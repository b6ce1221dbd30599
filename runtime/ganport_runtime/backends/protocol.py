"""What a backend says of itself, and what it opens: sessions of a bundle's graphs or engines.

A backend is one file: a subclass of `Backend`, named `BACKEND`. All that the rest of ganport must know of an inference
library is an attribute or a method here; nothing outside the backend's file lists libraries by name.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from ganport_runtime.errors import PlanError, shown
from ganport_runtime.machine import installed_version, usable_cores
from ganport_runtime.manifest import CompiledEngine, Entry

NUMBER = ()  # the values of an option that is a whole number, 1 or more
PLAIN_NUMBER = re.compile(r"[0-9]{1,4}")
MOST = 1024


@dataclass(frozen=True)
class Tensor:
    """An input or output of a graph; dimensions that are not fixed are None."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Package:
    """A distribution that a backend needs."""

    name: str  # on the package index
    module: str  # what Python imports
    extra: str | None  # ganport's extra that installs it
    device: str  # what it drives, `cpu` or `cuda`
    without: str  # what is missing without it

    @property
    def remedy(self) -> str:
        """The command that installs it."""
        return f"pip install {self.name if self.extra is None else repr(f'ganport[{self.extra}]')}"


class Session(Protocol):
    """A loaded graph or engine. `run` may be called by several threads at once."""

    provider: str  # what runs the graph, as the engine itself reports it
    options: Mapping[str, str]  # what the engine was told beside its defaults
    precision: str  # the coarsest that it computes with or stores weights in: `fp32`, `bf16`, `fp16`, `int8`
    pads_to_bucket: bool  # whether the batch is to be a bucket's size
    is_sized: bool  # whether it holds a model, profile or graph for each bucket, any of which may be wrong alone
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The named outputs alone, in arrays that are the caller's; PlanError where the engine failed, ClosedError."""

    def close(self) -> None:
        """Release what the engine holds, once the runs under way are done. Closing twice does no harm."""


class Backend:
    """One inference library. Methods that are not overridden describe a library that runs every ONNX graph."""

    name: ClassVar[str]  # what users call it
    devices: ClassVar[tuple[str, ...]]  # that it can drive, fastest first: `cuda`, `cpu`
    packages: ClassVar[
        tuple[Package, ...]
    ]  # of the engine, any of which makes it run; a new version ends what was measured with the old one
    helpers: ClassVar[tuple[Package, ...]] = ()  # other distributions that it needs
    engine_libraries: ClassVar[tuple[str, ...]] = ()  # whose compiled engines it runs

    def refusal(self, device: str) -> str | None:  # noqa: ARG002
        """Why it cannot run on `device` here, with the remedy, or None where it can; opens nothing.

        It is asked at every opening of a bundle, so it imports a library only where that library is quick to import.
        """
        if any(installed_version(package.name) for package in self.packages):
            return None
        return f"{self.name} is not installed; {self.packages[0].remedy}"

    def entry_refusal(self, entry: Entry, device: str) -> str | None:  # noqa: ARG002
        """Why it cannot run this entry on `device`, every misfit in one line, or None where it can; opens nothing."""
        return f"{self.name} cannot run an engine of {entry.library}" if isinstance(entry, CompiledEngine) else None

    def settings_to_try(self, entry: Entry, device: str) -> tuple[Mapping[str, str], ...]:  # noqa: ARG002
        """The options worth measuring for this entry, the default first, fewer before more; imports no library."""
        return ({},)

    def precision_of(self, entry: Entry, options: Mapping[str, str]) -> str:  # noqa: ARG002
        """What an entry runs in with these options: `fp32`, `bf16`, `fp16` or `int8`."""
        return entry.precision

    def version(self) -> str:
        """The library's version; only where `refusal` is None for some device."""
        return next(found for package in self.packages if (found := installed_version(package.name)))

    def open(
        self, model: bytes, *, entry: Entry, device: str, threads: int | None, options: Mapping[str, str] = {}
    ) -> Session:
        """Load a graph or an engine onto a device.

        Args:
            model: the content of the entry's file, whose digest was checked. `private_file` gives it a path.
            entry: what the file is; `entry_refusal` is None for it.
            device: one of `devices`.
            threads: CPU threads for one run, or None for what `options` say, and then the library's own default.
            options: one of `settings_to_try`, or others that the backend knows; what is not named is left open.

        Raises PlanError where the device or an option cannot be used, BundleError where the file cannot be loaded.
        """
        raise NotImplementedError


@contextmanager
def private_file(data: bytes) -> Iterator[Path]:
    """A file of these bytes that no other process changes, and beside which a graph finds no other files."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():  # Linux: in memory, without a name
        with os.fdopen(os.memfd_create("ganport"), "wb") as file:
            file.write(data)
            file.flush()
            yield Path("/proc/self/fd") / str(file.fileno())
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="ganport-") as folder:
        path = Path(folder) / "graph.onnx"
        path.write_bytes(data)
        yield path


def check_options(backend: str, options: Mapping[str, str], known: Mapping[str, Sequence[str]]) -> None:
    """Raise PlanError for an option that is not `known` or has none of its values; no values: a whole number from 1."""
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
