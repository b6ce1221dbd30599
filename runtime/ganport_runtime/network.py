"""What a generator and a discriminator share: opening, closing, and running a batch of any size."""

from os import PathLike
from types import TracebackType
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from ganport_runtime.backends import Session, Tensor
from ganport_runtime.buckets import TOP, padded, parts
from ganport_runtime.bundle import Bundle
from ganport_runtime.checks import allocate
from ganport_runtime.errors import BundleError, ClosedError
from ganport_runtime.manifest import Manifest, Role
from ganport_runtime.plan import AUTO, Plan, Request, open_session

__all__ = ["Network"]


class Network:
    """One role of a bundle, opened by `open`, run by any number of threads, closed by `close` or `with`."""

    role: ClassVar[Role]

    def __init__(self, bundle: Bundle, session: Session, plan: Plan) -> None:
        self._bundle = bundle
        self._plan = plan
        self._session: Session | None = session
        self._input, *outputs = self.signature(bundle.manifest)
        self._outputs = {tensor.name: tensor for tensor in outputs}

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        device: str = AUTO,
        precision: str = AUTO,
        backend: str = AUTO,
        threads: int | None = None,
    ) -> Self:
        """Open a bundle with the fastest plan known for this machine.

        Args:
            path: the bundle's directory.
            device: `auto`, `cpu` or `cuda`.
            precision: `auto`, `fp32`, `fp16` or `int8`; `auto` takes fp32 where nothing was tuned.
            backend: `auto` or `onnxruntime`.
            threads: CPU threads for one run, or None for the engine's own default.

        Raises:
            InputError: an argument has another value.
            BundleError: the bundle is missing, malformed or altered, or holds no such network.
            PlanError: nothing on this machine can run it; the text has every candidate's reason.
        """
        request = Request(device, precision, backend, threads)
        bundle = Bundle.open(path)
        session, plan = open_session(bundle, cls.role, request)
        _check_signature(cls.signature(bundle.manifest), session, f"{bundle.path}: variant {plan.variant}")
        return cls(bundle, session, plan)

    @classmethod
    def signature(cls, manifest: Manifest) -> tuple[Tensor, ...]:
        """The graph's one input, then its outputs, as the manifest promises them."""
        raise NotImplementedError

    @property
    def plan(self) -> Plan:
        """How it runs, and why every other way was refused."""
        return self._plan

    @property
    def bundle(self) -> Bundle:
        """Where it came from."""
        return self._bundle

    def close(self) -> None:
        """Let go of the engine; runs of other threads finish first. Closing twice does no harm."""
        self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._session is None else str(self._plan)
        return f"<{type(self).__name__} of {self._bundle.path}: {state}>"

    def _opened(self) -> Session:
        session = self._session
        if session is None:
            raise ClosedError(f"this {self.role} of {self._bundle.path} is closed; open the bundle again")
        return session

    def _run(self, output: str, batch: NDArray[Any]) -> NDArray[Any]:
        """Run a batch of any size, in parts where it is larger than the top bucket."""
        session = self._opened()
        if 0 < len(batch) <= TOP:
            return self._run_part(session, output, batch)
        result = self._empty(output, len(batch))
        for part in parts(len(batch)):
            result[part] = self._run_part(session, output, batch[part])
        return result

    def _run_part(self, session: Session, output: str, batch: NDArray[Any]) -> NDArray[Any]:
        if not session.pads_to_bucket:
            return session.run((output,), {self._input.name: batch})[0]
        return session.run((output,), {self._input.name: padded(batch)})[0][: len(batch)]

    def _empty(self, output: str, count: int) -> NDArray[Any]:
        tensor = self._outputs[output]
        return allocate((count, *(size for size in tensor.shape if size is not None)), tensor.dtype)


def _check_signature(promised: tuple[Tensor, ...], session: Session, where: str) -> None:
    """See that the graph is what the manifest says it is, before anything runs."""
    if session.inputs != promised[:1]:
        raise BundleError(f"{where} takes {_shown(session.inputs)}, wanted {_shown(promised[:1])}; export it again")
    found = {tensor.name: tensor for tensor in session.outputs}
    for tensor in promised[1:]:
        if found.get(tensor.name) != tensor:
            raise BundleError(f"{where} gives {_shown(session.outputs)}, wanted {_shown((tensor,))}; export it again")


def _shown(tensors: tuple[Tensor, ...]) -> str:
    return ", ".join(
        f"{tensor.name} {tensor.dtype} [{', '.join('batch' if size is None else str(size) for size in tensor.shape)}]"
        for tensor in tensors
    )
