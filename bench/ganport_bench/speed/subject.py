"""What is measured: a bundle, or a run and the bundle that was exported from it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganport_runtime import Bundle
from ganport_runtime.bundle import MANIFEST
from ganport_runtime.differences import compare
from ganport_runtime.probe import read_probe

from ganport_bench.command import OnStep
from ganport_bench.errors import BenchError
from ganport_bench.exactness import EXACT_DB

if TYPE_CHECKING:
    from ganport_bench.peers.source import Source

__all__ = ["Subject", "subject_of"]

RUN = "config.json"  # in every run directory
TRAINED_STEPS = 100  # below it images are noise
OTHER = "name the run and the bundle that was exported from it"


@dataclass(frozen=True)
class Subject:
    """A bundle, and the run that it comes from where that is known.

    Args:
        bundle: whose plans are measured.
        run: the run directory that PyTorch's peers load, or None.
    """

    bundle: Path
    run: Path | None = None

    @cached_property
    def opened(self) -> Bundle:
        """The bundle, its manifest read."""
        return Bundle.open(self.bundle)

    @cached_property
    def source(self) -> "Source":
        """What peers are made of."""
        if self.run is None:
            from ganport_bench.peers.bundle_source import BundleSource

            return BundleSource.of_bundle(self.bundle)
        from ganport_bench.peers.source import NetworkSource

        return NetworkSource.of_run(self.run)

    @property
    def is_trained(self) -> bool:
        """Whether its images mean anything; they do where nothing is known of the training."""
        steps = self.opened.manifest.training.get("steps")
        return not isinstance(steps, int) or steps >= TRAINED_STEPS

    def to_json(self) -> dict[str, Any]:
        """Its part of the document, without the reference."""
        return {
            "run": None if self.run is None else str(self.run),
            "bundle": str(self.bundle),
            "bundle_digest": self.opened.digest,
            "is_trained": self.is_trained,
        }


def subject_of(target: Path, bundle: Path | None, folder: Path, on_step: OnStep) -> Subject:
    """What was given; where it is a run alone, its bundle is exported.

    Args:
        target: a bundle or a run directory.
        bundle: what was exported from the run, or None.
        folder: for the bundle that is made.
        on_step: called with a few words first.

    Raises:
        BenchError: neither a bundle nor a run, two bundles, or a bundle of another run.
    """
    if (target / MANIFEST).exists():
        if bundle is not None:
            raise BenchError(f"{target} is a bundle, and --bundle {bundle} goes with a run directory; give one of them")
        return Subject(target)
    if not (target / RUN).exists():
        what = "is missing" if not target.exists() else f"holds neither {MANIFEST} nor {RUN}"
        raise BenchError(f"{target} {what}; name a bundle, or the run directory that one is exported from")
    if bundle is None:
        from ganport_bench.speed.model import make_bundle

        return Subject(make_bundle(target, folder, on_step), target)
    subject = Subject(bundle, target)
    _check_pair(subject, target)
    return subject


def _check_pair(subject: Subject, run: Path) -> None:
    """See that a bundle is of this run: the run's network makes the images of its probe."""
    probe = read_probe(subject.opened)
    if probe is None:  # then every plan is compared with the run's images all the same
        return
    import torch

    wanted = f"{subject.bundle} was not exported from {run}"
    if probe.z.shape[1] != subject.source.latent_dim:
        raise BenchError(f"{wanted}: it takes {probe.z.shape[1]} numbers, the run {subject.source.latent_dim}; {OTHER}")
    with torch.inference_mode():
        made = subject.source.module()(torch.from_numpy(probe.z)).numpy()
    if made.shape != probe.image.shape:
        raise BenchError(f"{wanted}: its images are {probe.image.shape[1:]}, the run's {made.shape[1:]}; {OTHER}")
    difference = compare(made, probe.image)
    if difference.psnr_db_mean < EXACT_DB:
        raise BenchError(f"{wanted}, or from other weights of it: {difference}; {OTHER}")
