"""The networks of a bundle: `Generator` (latents to images) and `Discriminator` (images to scores and features)."""

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, ClassVar, Self, SupportsIndex, cast

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.backends import Tensor
from ganport_runtime.batches import BUCKETS, TOP, bucket_of, parts, run_part
from ganport_runtime.bundle import Bundle
from ganport_runtime.errors import ClosedError, allocate, batch_of, whole_number
from ganport_runtime.latents import LIMIT, LatentRows, image_range, latents
from ganport_runtime.manifest import DiscriminatorInfo, Manifest, Role
from ganport_runtime.opening import Running, Signature, open_plans
from ganport_runtime.plan import AUTO, Plan, PlanRequest


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

        Raises InputError for other values, BundleError for a bundle that is damaged or holds no such network, PlanError
        where nothing here can run it.
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
        """Several outputs of one run of `rows`, which fill a bucket: for callers who check and pad themselves."""
        session = self._opened()[len(rows)].session
        return session.run(outputs, {session.inputs[0].name: rows})

    def empty(self, outputs: Sequence[str], count: int) -> list[NDArray[Any]]:
        """Arrays for these outputs of a batch, not yet filled; InputError where they do not fit in memory."""
        return [self._empty(output, count) for output in outputs]

    def _run(self, output: str, batch: NDArray[Any]) -> NDArray[Any]:
        return self._run_all((output,), batch)[0]

    def _run_all(self, outputs: Sequence[str], batch: NDArray[Any]) -> list[NDArray[Any]]:
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


class Generator(Network):
    """The generator of a bundle.

    Example:
        with Generator.open("emoji.ganport") as generator:
            images = generator.sample(16, seed=7)

    Its methods raise InputError for wrong arguments, ClosedError after `close`, PlanError where the engine failed.
    """

    role = "generator"

    def __init__(self, bundle: Bundle, running: Mapping[int, Running]) -> None:
        super().__init__(bundle, running)
        self._latents = LatentRows(self.latent_dim)

    @classmethod
    def signature(cls, manifest: Manifest) -> tuple[Tensor, ...]:
        """`z` float32 [batch, latent_dim], `image` uint8 [batch, height, width, channels]."""
        info = manifest.generator
        return Tensor("z", "float32", (None, info.latent.dim)), Tensor("image", "uint8", (None, *info.image.shape))

    @property
    def latent_dim(self) -> int:
        """Numbers in one latent vector."""
        return self.bundle.manifest.generator.latent.dim

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one image."""
        return self.bundle.manifest.generator.image.shape

    def __call__(self, z: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Images uint8 [n, height, width, channels] of your own latents, float32 [n, latent_dim], finite."""
        return self._run("image", batch_of("z", z, "float32", (self.latent_dim,)))

    def sample(self, count: SupportsIndex, *, seed: SupportsIndex = 0, start: SupportsIndex = 0) -> NDArray[np.uint8]:
        """The images `start` to `start + count - 1` of a seed, uint8 [count, height, width, channels].

        Image k of a seed has the same latents whatever the count, the start and the machine. Seeds and images are 0 to
        2^64 - 1.
        """
        key, first, number = image_range(seed, start, count)
        if number <= TOP:
            return self._run("image", self._latents.take(key, first, number))
        self._opened()
        images = self._empty("image", number)
        for part, batch in zip(parts(number), self._stream(key, first, number, TOP), strict=True):
            images[part] = batch
        return images

    def stream(
        self, count: SupportsIndex, *, seed: SupportsIndex = 0, start: SupportsIndex = 0, batch: SupportsIndex = TOP
    ) -> Iterator[NDArray[np.uint8]]:
        """The images of `sample`, `batch` at a time, in memory that does not grow with the count.

        Each is uint8 [batch, height, width, channels]; the last one may be shorter. Wrong arguments raise at once.
        """
        key, first, number = image_range(seed, start, count)
        size = whole_number("batch", batch, 1, LIMIT)
        self._opened()
        return self._stream(key, first, number, size)

    def _stream(self, seed: int, start: int, count: int, batch: int) -> Iterator[NDArray[np.uint8]]:
        for part in parts(count, batch):
            z = latents(seed, start + part.start, part.stop - part.start, self.latent_dim)
            yield self._run("image", z)


class Discriminator(Network):
    """The discriminator of a bundle. Images are uint8 [n, height, width, channels]; errors as for `Generator`.

    Example:
        with Discriminator.open("emoji.ganport") as discriminator:
            vectors = discriminator.embed(images)
    """

    role = "discriminator"

    @classmethod
    def signature(cls, manifest: Manifest) -> tuple[Tensor, ...]:
        """`image` uint8 [batch, height, width, channels], `logit` float32 [batch], `features` float32 [batch, F]."""
        info = _info(manifest)
        image = Tensor("image", "uint8", (None, *info.image.shape))
        return image, Tensor("logit", "float32", (None,)), Tensor("features", "float32", (None, info.features.dim))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one image."""
        return _info(self.bundle.manifest).image.shape

    @property
    def feature_dim(self) -> int:
        """Numbers in one feature vector, F."""
        return _info(self.bundle.manifest).features.dim

    def score(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """How real each image looks: logits, float32 [n]; larger is more real."""
        return self._run("logit", batch_of("images", images, "uint8", self.image_shape))

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The feature vector of each image (Radford et al. 2015, section 5.1), float32 [n, feature_dim]."""
        return self._run("features", batch_of("images", images, "uint8", self.image_shape))

    def examine(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits, float32 [n], and features, float32 [n, feature_dim], of one run for both."""
        logits, features = self._run_all(("logit", "features"), batch_of("images", images, "uint8", self.image_shape))
        return logits, features


def _info(manifest: Manifest) -> DiscriminatorInfo:
    return cast(DiscriminatorInfo, manifest.discriminator)  # `open` has seen that there is one
