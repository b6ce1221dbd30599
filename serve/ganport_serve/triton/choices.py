"""What the user of `ganport export-triton` may choose."""

import math
from dataclasses import dataclass

from ganport_runtime.plan import AUTO, DEVICES, MAX_THREADS, PRECISIONS

from ganport_serve.errors import ServeError

BACKENDS = ("onnxruntime", "tensorrt", "python")


class RepositoryError(ServeError):
    """What was asked for cannot become a model repository; the text says what was given and what is wanted."""


@dataclass(frozen=True)
class TritonChoices:
    """How the models of a repository are made and run. Raises RepositoryError: a value is none of these."""

    backends: tuple[str, ...] | None = None  # of Triton, from `BACKENDS`; None: all that the bundle allows
    # ids of variants and engines to take instead of the default ones, at most one for a role and backend
    variants: tuple[str, ...] = ()
    device: str = "cpu"  # `cpu` or `cuda`, for the backends `onnxruntime` and `python`; `tensorrt` runs on GPUs alone
    instances: int = 1  # copies of each model on the device, which run at the same time
    threads: int | None = None  # CPU threads of each instance; None: what its engine takes by itself
    precision: str = AUTO  # of the backend `python`, as `Generator.open` has it
    max_delay: float = 0.002  # seconds after which the scheduler takes whatever waits, whether a preferred size or not
    max_queue: int = 1024  # requests that may wait for a model; further ones are refused

    def __post_init__(self) -> None:
        for backend in self.backends or ():
            _one_of("backend", backend, BACKENDS)
        if self.backends == ():
            raise RepositoryError(f"no backend is named; choose from {', '.join(BACKENDS)}")
        _one_of("device", self.device, tuple(reversed(DEVICES)))
        _one_of("precision", self.precision, (AUTO, *PRECISIONS))
        for name, given in (("instances", self.instances), ("max queue", self.max_queue)):
            if given < 1:
                raise RepositoryError(f"{name} is {given}, wanted 1 or more")
        if self.threads is not None and not 1 <= self.threads <= MAX_THREADS:
            raise RepositoryError(f"threads is {self.threads}, wanted 1 to {MAX_THREADS}")
        if not math.isfinite(self.max_delay) or not 0 <= self.max_delay <= 60:
            raise RepositoryError(f"max delay is {self.max_delay} s, wanted 0 to 60 s")


def _one_of(name: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise RepositoryError(f"{name} {given!r} is unknown; choose from {', '.join(known)}")
