"""What peers are given where there is a bundle alone: its own fp32 graph in the place of a stock export, no network."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn, Self

import onnx
from ganport_runtime import Bundle, BundleError, Generator, PlanError, latents
from ganport_runtime.buckets import BUCKETS
from ganport_runtime.differences import compare
from ganport_runtime.entries import Role, Variant
from ganport_runtime.opening import open_candidate
from ganport_runtime.plan import PlanRequest, Refusal, by_reason
from ganport_runtime.probe import read_probe
from ganport_runtime.survey import survey
from torch import nn

from ganport_bench.errors import BenchError
from ganport_bench.exactness import EXACT_DB
from ganport_bench.peers.protocol import Latents, Pixels

__all__ = ["BundleSource"]

ROLE: Role = "generator"
PRECISION, FORM = "fp32", "deconv"  # the form is what was trained


@dataclass(frozen=True)
class BundleSource:
    """The fp32 variant of a bundle, `deconv` where it is there.

    Args:
        bundle: whose generator.
        variant: its fp32 graph.
    """

    bundle: Bundle
    variant: Variant

    @classmethod
    def of_bundle(cls, path: Path) -> Self:
        """A bundle's directory.

        Raises:
            BundleError: no bundle.
            BenchError: a bundle without a generator in fp32.
        """
        bundle = Bundle.open(path)
        exact = [one for one in bundle.variants(ROLE) if one.precision == PRECISION]
        if not exact:
            raise BenchError(f"{path} holds no {ROLE} in {PRECISION}, with which the others could be compared")
        return cls(bundle, min(exact, key=lambda one: one.form != FORM))

    @property
    def network(self) -> nn.Module:
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
        operators = {node.op_type for node in onnx.load_from_string(self.stock_export).graph.node}
        folded = "batch norm as exported" if "BatchNormalization" in operators else "batch norm folded"
        return f"on the bundle's {self.variant.id} ({folded}), for lack of a stock export"

    def module(self) -> nn.Module:
        """None here: a bundle holds graphs."""
        self._refuse()

    def reference(self, seed: int, count: int) -> tuple[Latents, Pixels]:
        """The first latents of a seed, and what the variant makes of them once it was seen to be right.

        Raises:
            BundleError: the variant's file is altered.
            PlanError: nothing runs it here.
            BenchError: its images are not those of the bundle's probe.
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
        """The variant by ONNX Runtime or, where that is not here, OpenVINO."""
        available, refusals = survey(self.bundle, ROLE, PlanRequest(device="cpu", precision=PRECISION))
        for candidate in available:
            if candidate.entry != self.variant:
                continue
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
