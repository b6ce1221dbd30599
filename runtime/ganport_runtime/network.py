"""What a generator and a discriminator share: opening, closing, and running a batch of any size."""

from collections.abc import Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from ganport_runtime.batches import BUCKETS, TOP, bucket_of, parts, run_part
from ganport_runtime.bundle import Bundle
from ganport_runtime.checks import allocate
from ganport_runtime.errors import ClosedError
from ganport_runtime.manifest import Manifest, Role
from ganport_runtime.opening import Running, Signature, open_plans
from ganport_runtime.plan import AUTO, Plan, PlanRequest

__all__ = ["Network"]


class Network:
    """One role of a bundle, opened by `open`, run by any number of threads, closed by `close` or `with`."""

    role: ClassVar[Role]

    def __init__(self, bundle: Bundle, running: Mapping[int, Running]) -> None:
        self._bundle = bundle
        self._plans = {bucket: running[bucket].plan for bucket in BUCKETS}
        self._running: Mapping[int, Running] | None = running
        _, *outputs = self.signature(bundle.manifest)
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
        one_plan: bool = True,
    ) -> Self:
        """Open a bundle with the fastest plan known for this machine.

        Args:
            path: the bundle's directory.
            device: `auto`, `cpu` or `cuda`.
            precision: `auto`, `fp32`, `bf16`, `fp16` or `int8`; `auto` keeps within the budget of the tuning record,
                and takes fp32 where nothing was tuned.
            backend: `auto`, `onnxruntime`, `openvino` or `tensorrt`.
            threads: CPU threads for one run, or None for what the plan says; a number leaves the tuning record aside.
            one_plan: one plan for every batch size, the one that tuning chose, so that an image of a seed is the same
                whatever the count. False: each batch size has the plan that is fastest for it, which costs the memory
                of several plans; the images of a seed then differ a little between batch sizes.

        Raises:
            InputError: an argument has another value.
            BundleError: the bundle is missing, malformed or altered, or holds no such network.
            PlanError: nothing on this machine can run it; the text says why.
        """
        request = PlanRequest(device, precision, backend, threads, one_plan)
        bundle = Bundle.open(path)
        return cls(bundle, open_plans(bundle, cls.role, request, cls.signature))

    @classmethod
    def signature(cls, manifest: Manifest) -> Signature:
        """The graph's one input, then its outputs, as the manifest promises them."""
        raise NotImplementedError

    @property
    def plan(self) -> Plan:
        """How batches of the top bucket run, and why every other way was refused."""
        return self._plans[TOP]

    @property
    def plans(self) -> dict[int, Plan]:
        """How batches of each bucket run; without tuning they are all the same."""
        return dict(self._plans)

    @property
    def bundle(self) -> Bundle:
        """Where it came from."""
        return self._bundle

    def close(self) -> None:
        """Let go of the engine; runs of other threads finish first. Closing twice does no harm."""
        running, self._running = self._running, None
        for one in () if running is None else running.values():
            one.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._running is None else str(self.plan)
        return f"<{type(self).__name__} of {self._bundle.path}: {state}>"

    def _opened(self) -> Mapping[int, Running]:
        running = self._running
        if running is None:
            raise ClosedError(f"this {self.role} of {self._bundle.path} is closed; open the bundle again")
        return running

    def run_bucket(self, outputs: Sequence[str], rows: NDArray[Any]) -> list[NDArray[Any]]:
        """Several outputs of one run, for callers who check rows and fill buckets themselves.

        Args:
            outputs: names of the graph's outputs.
            rows: a batch that fills a bucket.

        Raises:
            ClosedError: the network is closed.
            PlanError: the engine failed.
        """
        session = self._opened()[len(rows)].session
        return session.run(outputs, {session.inputs[0].name: rows})

    def empty(self, outputs: Sequence[str], count: int) -> list[NDArray[Any]]:
        """Arrays for these outputs of a batch, not yet filled.

        Raises:
            InputError: they do not fit in memory.
        """
        return [self._empty(output, count) for output in outputs]

    def _run(self, output: str, batch: NDArray[Any]) -> NDArray[Any]:
        """One output of a batch of any size."""
        return self._run_all((output,), batch)[0]

    def _run_all(self, outputs: Sequence[str], batch: NDArray[Any]) -> list[NDArray[Any]]:
        """Run a batch of any size once, in parts where it is larger than the top bucket."""
        running = self._opened()
        if 0 < len(batch) <= TOP:
            return run_part(running[bucket_of(len(batch))].session, outputs, batch)
        results = self.empty(outputs, len(batch))
        for part in parts(len(batch)):
            session = running[bucket_of(part.stop - part.start)].session
            for result, made in zip(results, run_part(session, outputs, batch[part]), strict=True):
                result[part] = made
        return results

    def _empty(self, output: str, count: int) -> NDArray[Any]:
        tensor = self._outputs[output]
        return allocate((count, *(size for size in tensor.shape if size is not None)), tensor.dtype)
