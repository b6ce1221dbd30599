"""Tells a caller, while TensorRT builds, which phase it is in."""

from typing import Any

from ganport_export.observer import Progress

__all__ = ["new_monitor"]


def new_monitor(library: Any, name: str, progress: Progress) -> Any:
    """An `IProgressMonitor` of `library` that tells `progress` of every phase of building `name`.

    TensorRT calls it from its own code, which no exception may cross: the first one, an interrupt too, stops the build
    and is kept in `error`, to be raised by who started it.
    """

    class Monitor(library.IProgressMonitor):  # type: ignore[misc]  # the library is known when it is loaded, not before
        def __init__(self) -> None:
            library.IProgressMonitor.__init__(self)
            self.error: BaseException | None = None
            self.steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:  # noqa: ARG002
            self.steps[phase] = steps
            self._tell(f"{name}: {phase[:1].lower()}{phase[1:]}")

        def step_complete(self, phase: str, step: int) -> bool:
            self._tell(f"{name}: {phase[:1].lower()}{phase[1:]}, {step + 1} of {self.steps.get(phase, step + 1)}")
            return self.error is None

        def phase_finish(self, phase: str) -> None:
            self.steps.pop(phase, None)

        def _tell(self, line: str) -> None:
            if self.error is None:
                try:
                    progress(line)
                except BaseException as error:
                    self.error = error

    return Monitor()
