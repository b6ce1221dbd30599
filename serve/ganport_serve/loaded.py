"""One bundle opened for serving: its networks, warm and probed, each behind its batcher."""

import logging
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from ganport_runtime import Discriminator, Generator, PlanError
from ganport_runtime.plan import AUTO
from ganport_runtime.serving import Batcher, Scorer

from ganport_serve.engine import Served
from ganport_serve.metrics import Metrics
from ganport_serve.settings import Settings

__all__ = ["Loaded", "Options"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """How networks are opened; as `Generator.open` takes them. They are the generator's: see `Loaded`."""

    device: str = AUTO
    precision: str = AUTO
    backend: str = AUTO
    threads: int | None = None


class Loaded:
    """A bundle's generator and, where it has one, its discriminator, each with its batcher.

    Both run one plan for all batch sizes, so that what is made does not depend on who else asks. The discriminator
    runs with the generator's options where it can, and otherwise in its own precision by its own backend.

    Attributes:
        served: what it is.
        batcher: makes images.
        scorer: examines images; None where the bundle has no discriminator.
    """

    def __init__(self, path: Path, settings: Settings, metrics: Metrics, options: Options) -> None:
        """Open, warm and probe; takes seconds.

        Raises:
            BundleError: the bundle cannot be trusted.
            PlanError: nothing here can run it.
        """
        limits: dict[str, Any] = {"max_delay": settings.max_delay, "max_queue": settings.max_queue}
        self._networks: list[Generator | Discriminator] = []
        self._batchers: list[Batcher | Scorer] = []
        try:
            generator = Generator.open(path, one_plan=True, **asdict(options))
            self._networks.append(generator)
            self.batcher = Batcher(generator, **limits, observe=partial(metrics.batch, "generator"))
            self._batchers.append(self.batcher)
            self.scorer: Scorer | None = None
            if generator.bundle.manifest.discriminator is not None:
                discriminator = _open_discriminator(path, options)
                self._networks.append(discriminator)
                self.scorer = Scorer(discriminator, **limits, observe=partial(metrics.batch, "discriminator"))
                self._batchers.append(self.scorer)
        except BaseException:
            self.close(drain=False)
            raise
        self.served = self._served(path, generator)

    def _served(self, path: Path, generator: Generator) -> Served:
        bundle = generator.bundle
        discriminator = bundle.manifest.discriminator
        return Served(
            name=bundle.manifest.name,
            path=path,
            digest=bundle.digest,
            latent_dim=generator.latent_dim,
            image_shape=generator.image_shape,
            feature_dim=None if discriminator is None else discriminator.features.dim,
            buckets=self.batcher.buckets,
            plans={network.role: str(network.plan) for network in self._networks},
        )

    @property
    def breakdown(self) -> str | None:
        """Why one of its batchers broke down, or None."""
        for batcher in self._batchers:
            if batcher.breakdown is not None:
                return batcher.breakdown
        return None

    @property
    def notes(self) -> dict[str, str]:
        """What there is to say of each role's batcher, where there is something."""
        pairs = zip(self._networks, self._batchers, strict=True)
        return {network.role: batcher.note for network, batcher in pairs if batcher.note}

    def close(self, *, drain: bool = True) -> None:
        """Finish what was accepted where `drain`, then let go of the networks; takes as long as that takes."""
        for batcher in self._batchers:
            batcher.close(drain=drain)
        for network in self._networks:
            network.close()


def _open_discriminator(path: Path, options: Options) -> Discriminator:
    try:
        return Discriminator.open(path, one_plan=True, **asdict(options))
    except PlanError as error:
        own = replace(options, precision=AUTO, backend=AUTO)
        if own == options:
            raise
        discriminator = Discriminator.open(path, one_plan=True, **asdict(own))
        said = {"asked": asdict(options), "plan": str(discriminator.plan), "reason": str(error)}
        log.warning("the discriminator does not run as asked", extra=said)
        return discriminator
