"""What travels between the front and its replicas: jobs, states, and errors as values. Nothing here needs Ray."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ganport_runtime import BundleError, InputError, PlanError
from ganport_runtime.serving import DeadlineError, QueueFullError
from numpy.typing import NDArray

from ganport_serve.engine import Served
from ganport_serve.errors import NotReadyError, ServeError, UnknownModelError

UNDER_WAY = 4  # calls to a replica that one front makes at a time: one runs, one waits, one travels either way


@dataclass(frozen=True)
class Job:
    """At most 64 images of one request."""

    images: int  # how many
    seed: int = 0  # of the images, unless `rows` are given
    start: int = 0  # the first image of the seed
    rows: NDArray[Any] | None = None  # latents float32 [images, latent_dim], or images uint8 to examine
    examine: bool = False  # whether `rows` are images


@dataclass(frozen=True)
class ReplicaState:
    """How one replica is."""

    replica: str  # its name; a replacement has another one
    pid: int  # its process, on its own machine
    served: Served  # the bundle that it serves
    queued: int  # images that wait in it
    running: int  # images in its engines
    images_per_second: float  # of its generator when busy
    images: int  # made of its bundle so far
    complaint: str = ""  # why it did not take the bundle that it was last told to take, or empty


class LostReplicaError(Exception):
    """The replica that had a call is gone."""


class WrongBundleError(ServeError):
    """The replica does not serve the bundle that the front asked for."""


@dataclass(frozen=True)
class ErrorValue:
    """An error as a value: an exception would come back wrapped by Ray, without its attributes."""

    kind: str  # the name of its class
    text: str  # its message, in one line
    retry_after: float = 1.0  # seconds after which to ask again, for errors that have it

    @classmethod
    def of(cls, error: Exception) -> "ErrorValue":
        """The value for an error, by the nearest of its base classes that is known."""
        text = " ".join(str(error).split())
        kind = next((base.__name__ for base in type(error).__mro__ if base.__name__ in _KINDS), "")
        return cls(kind, text if kind else f"{type(error).__name__}: {text}", getattr(error, "retry_after", 1.0))

    def error(self) -> Exception:
        """The error; ServeError for one of an unknown kind."""
        make = _KINDS.get(self.kind)
        return ServeError(f"a replica failed: {self.text}") if make is None else make(self)


_KINDS: dict[str, Callable[[ErrorValue], Exception]] = {
    "BundleError": lambda value: BundleError(value.text),
    "ClosedError": lambda value: NotReadyError(value.text, value.retry_after),  # the replica closes; others serve
    "DeadlineError": lambda value: DeadlineError(value.text),
    "InputError": lambda value: InputError(value.text),
    "NotReadyError": lambda value: NotReadyError(value.text, value.retry_after),
    "PlanError": lambda value: PlanError(value.text),
    "QueueFullError": lambda value: QueueFullError(value.text, value.retry_after),
    "UnknownModelError": lambda value: UnknownModelError(value.text),
    "WrongBundleError": lambda value: WrongBundleError(value.text),
}


def error_of_text(text: str) -> Exception:
    """The error at the end of a traceback, as Ray reports it for a replica that did not start."""
    for line in reversed(text.splitlines()):
        name, colon, rest = line.strip().partition(": ")
        kind = name.rpartition(".")[2]
        if colon and kind in _KINDS:
            return ErrorValue(kind, rest).error()
    return ServeError(f"Ray cannot start the replicas: {' '.join(text.split())[-500:]}")
