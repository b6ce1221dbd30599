"""What is measured: a bundle, or a run and the bundle that was exported from it; and what baselines are made of."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np
from ganport_runtime import Bundle, BundleError, Generator, PlanError, latents
from ganport_runtime.batches import BUCKETS
from ganport_runtime.bundle import MANIFEST
from ganport_runtime.differences import compare
from ganport_runtime.manifest import Role, Variant
from ganport_runtime.opening import open_candidate
from ganport_runtime.plan import PlanRequest, Refusal, by_reason, list_plans
from ganport_runtime.self_test import read_probe
from numpy.typing import NDArray

from ganport_bench.effort import OnStep
from ganport_bench.errors import BenchError
from ganport_bench.figures import EXACT_DB

if TYPE_CHECKING:
    from torch import nn

RUN = "config.json"  # in every run directory
TRAINED_STEPS = 100  # below it images are noise
MADE_STEPS = 5  # of a run that is made for the occasion
OTHER = "name the run and the bundle that was exported from it"
ROLE: Role = "generator"
EXACT_PRECISION, TRAINED_FORM = "fp32", "deconv"
EXAMPLES = 2  # latents in the batch that is exported: with one, the exporter takes the batch for a constant

Latents = NDArray[np.float32]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class BenchSubject:
    """A bundle, and the run that it comes from where that is known."""

    bundle: Path  # whose plans are measured
    run: Path | None = None  # the run directory that PyTorch's baselines load, or None

    @cached_property
    def opened(self) -> Bundle:
        """The bundle, its manifest read."""
        return Bundle.open(self.bundle)

    @cached_property
    def source(self) -> "BaselineSource":
        """What baselines are made of."""
        return BundleSource.of_bundle(self.bundle) if self.run is None else NetworkSource.of_run(self.run)

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


def subject_of(target: Path, bundle: Path | None, folder: Path, on_step: OnStep) -> BenchSubject:
    """What was given; where it is a run alone, its bundle is exported.

    Raises BenchError: neither a bundle nor a run, two bundles, or a bundle of another run.
    """
    if (target / MANIFEST).exists():
        if bundle is not None:
            raise BenchError(f"{target} is a bundle, and --bundle {bundle} goes with a run directory; give one of them")
        return BenchSubject(target)
    if not (target / RUN).exists():
        what = "is missing" if not target.exists() else f"holds neither {MANIFEST} nor {RUN}"
        raise BenchError(f"{target} {what}; name a bundle, or the run directory that one is exported from")
    if bundle is None:
        return BenchSubject(make_bundle(target, folder, on_step), target)
    subject = BenchSubject(bundle, target)
    _check_pair(subject, target)
    return subject


def _check_pair(subject: BenchSubject, run: Path) -> None:
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


def make_run(folder: Path, on_step: Callable[[str], None], **settings: int) -> Path:
    """A 64x64 generator of width 64 after a few steps on digits: of the real size, its images mean nothing."""
    from ganport_train.config import preset
    from ganport_train.trainer import train

    chosen = {"resolution": 64, "width": 64, "kernel": 4, "batch_size": 16, "steps": MADE_STEPS, **settings}
    on_step(f"no run was given: a generator to measure, {chosen['steps']} steps on digits")
    train(preset("rpgan", data="digits", **chosen), folder / "run")
    return folder / "run"


def make_bundle(run: Path, folder: Path, on_step: Callable[[str], None]) -> Path:
    """Every form and precision that the export offers, in `folder`."""
    from ganport_export import export_run

    on_step(f"no bundle was given: exporting {run}")
    bundle = folder / "measured.ganport"
    export_run(run, bundle)
    return bundle


@dataclass(frozen=True)
class NetworkSource:
    """A network in PyTorch."""

    network: "nn.Module"  # latents to values nominally in [-1, 1], in eval mode, float32, on the CPU
    latent_dim: int  # numbers in one latent

    stock_note = ""
    standard = "the network in float64, by PyTorch"

    @classmethod
    def of_run(cls, run: Path) -> Self:
        """The averaged weights of a run's best checkpoint. Raises CheckpointError: no such run, or a damaged one."""
        from ganport_train.checkpoints import load_networks

        networks = load_networks(run)
        return cls(networks.generator, networks.config.latent_dim)

    def module(self) -> "nn.Module":
        """The network and its pixel processing, latents to uint8 NHWC; a copy, which may be changed in place."""
        from ganport_export.trace import GeneratorGraph

        return GeneratorGraph(copy.deepcopy(self.network)).eval().requires_grad_(False)

    def reference(self, seed: int, count: int) -> tuple[Latents, Pixels]:
        """The first latents of a seed and what the network makes of them in float64."""
        from ganport_export.inputs import GeneratorInputs
        from ganport_export.reference import make_reference

        reference = make_reference(self.network, GeneratorInputs(self.latent_dim), seed, count)
        return reference.inputs["z"], reference.pixels

    @cached_property
    def stock_export(self) -> bytes:
        """`torch.onnx.export` of the module as one would write it: its default opset, the batch left open."""
        import torch
        from ganport_export.trace import quiet_exporter

        with quiet_exporter():
            program = torch.onnx.export(
                self.module(),
                (torch.randn(EXAMPLES, self.latent_dim),),
                input_names=["z"],
                output_names=["image"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                external_data=False,
                verbose=False,
            )
        assert program is not None  # None comes from the older exporter alone
        data: bytes = program.model_proto.SerializeToString()
        return data


@dataclass(frozen=True)
class BundleSource:
    """As `NetworkSource` of a bundle alone: its fp32 graph in the place of a stock export, and no network."""

    bundle: Bundle  # whose generator
    variant: Variant  # its fp32 graph, as trained (`deconv`) where that is there

    @classmethod
    def of_bundle(cls, path: Path) -> Self:
        """A bundle's directory. Raises BundleError: no bundle; BenchError: a bundle without a generator in fp32."""
        bundle = Bundle.open(path)
        exact = [one for one in bundle.variants(ROLE) if one.precision == EXACT_PRECISION]
        if not exact:
            raise BenchError(f"{path} holds no {ROLE} in {EXACT_PRECISION}, with which the others could be compared")
        return cls(bundle, min(exact, key=lambda one: one.form != TRAINED_FORM))

    @property
    def network(self) -> "nn.Module":
        """None here: a bundle holds graphs."""
        self._refuse()

    @property
    def latent_dim(self) -> int:
        """Numbers in one latent."""
        return self.bundle.manifest.generator.latent.dim

    @cached_property
    def stock_export(self) -> bytes:
        """The variant's graph."""
        return self.bundle.read(self.variant)

    @cached_property
    def stock_note(self) -> str:
        """That it is no plain export, and whether batch norm was folded into it."""
        import onnx

        operators = {node.op_type for node in onnx.load_from_string(self.stock_export).graph.node}
        folded = "batch norm as exported" if "BatchNormalization" in operators else "batch norm folded"
        return f"on the bundle's {self.variant.id} ({folded}), for lack of a stock export"

    def module(self) -> "nn.Module":
        """None here: a bundle holds graphs."""
        self._refuse()

    def reference(self, seed: int, count: int) -> tuple[Latents, Pixels]:
        """The first latents of a seed, and what the variant makes of them once it was seen to be right.

        Raises BundleError: the variant's file is altered; PlanError: nothing runs it here; BenchError: its images are
        not those of the bundle's probe.
        """
        z = latents(seed, 0, count, self.latent_dim)
        generator, name = self._opened()
        with generator:
            self._check(generator, name)
            return z, generator(z)

    @cached_property
    def standard(self) -> str:
        """The plan, and how far its images are from the network's; see `reference` for what it raises."""
        generator, name = self._opened()
        with generator:
            return f"{name}; {self._check(generator, name)}"

    def _check(self, generator: Generator, name: str) -> str:
        """See that images are those of the probe, the network's own in float64; return what was found in words."""
        probe = read_probe(self.bundle)
        if probe is None:
            return "not compared with the network, for the bundle has no probe"
        difference = compare(generator(probe.z), probe.image)
        if difference.psnr_db_mean < EXACT_DB:
            raise BenchError(f"{name} is not what the network made when it was exported: {difference}; export it again")
        return f"beside the float64 network on {difference.images} images: {difference}"

    def _opened(self) -> tuple[Generator, str]:
        """The variant by the first backend that runs it on the CPU."""
        available, refusals = list_plans(self.bundle, ROLE, PlanRequest(device="cpu", precision=EXACT_PRECISION))
        for candidate in (one for one in available if one.entry == self.variant):
            try:
                running = open_candidate(self.bundle, ROLE, candidate, Generator.signature)
            except (BundleError, PlanError) as error:
                refusals.append(Refusal(candidate, str(error)))
                continue
            name = f"{candidate.entry.id} by {candidate.backend} on {candidate.device}"
            return Generator(self.bundle, dict.fromkeys(BUCKETS, running)), name
        mine = [refusal for refusal in refusals if refusal.candidate.entry == self.variant and not refusal.is_unasked]
        raise PlanError(f"nothing here runs {self.variant.id} of {self.bundle.path}: {by_reason(mine)}")

    def _refuse(self) -> NoReturn:
        raise BenchError(
            "this needs the network in PyTorch, which a bundle does not hold; "
            f"give the run directory instead: ganport bench RUN --bundle {self.bundle.path}"
        )


BaselineSource = NetworkSource | BundleSource
