"""What every peer is given: one and the same network with its pixel processing, and a stock ONNX graph of it."""

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, Self

import torch
from ganport_export.reference import make_reference
from ganport_export.trace import GeneratorGraph, quiet_exporter
from ganport_train.checkpoints import load_networks
from torch import nn

from ganport_bench.peers.protocol import Latents, Pixels

__all__ = ["EXAMPLES", "NetworkSource", "Source"]

EXAMPLES = 2  # latents in the batch that is exported: with one, the exporter takes the batch for a constant


class Source(Protocol):
    """A generator, and what its images should be."""

    @property
    def network(self) -> nn.Module:
        """Latents to values nominally in [-1, 1]: in eval mode, float32, on the CPU.

        Raises:
            BenchError: there is no such network here; says what to give instead.
        """

    @property
    def latent_dim(self) -> int:
        """Numbers in one latent."""

    @property
    def stock_export(self) -> bytes:
        """An ONNX graph, `z` to `image`, the batch left open."""

    @property
    def stock_note(self) -> str:
        """What that graph is where it is no plain export; else empty."""

    @property
    def standard(self) -> str:
        """What `reference` is made by, in words."""

    def module(self) -> nn.Module:
        """The network and its pixel processing, latents to uint8 NHWC; a copy, for some peers change it in place.

        Raises:
            BenchError: as `network`.
        """

    def reference(self, seed: int, count: int) -> tuple[Latents, Pixels]:
        """The first latents of a seed and the images that they should become."""


@dataclass(frozen=True)
class NetworkSource:
    """A network in PyTorch.

    Args:
        network: latents to values nominally in [-1, 1], in eval mode, float32, on the CPU.
        latent_dim: numbers in one latent.
    """

    network: nn.Module
    latent_dim: int

    stock_note = ""
    standard = "the network in float64, by PyTorch"

    @classmethod
    def of_run(cls, run: Path) -> Self:
        """The averaged weights of a run's best checkpoint.

        Raises:
            CheckpointError: no such run, or a damaged one.
        """
        networks = load_networks(run)
        return cls(networks.generator, networks.config.latent_dim)

    def module(self) -> nn.Module:
        """The network and its pixel processing; see `Source`."""
        return GeneratorGraph(copy.deepcopy(self.network)).eval().requires_grad_(False)

    def reference(self, seed: int, count: int) -> tuple[Latents, Pixels]:
        """The first latents of a seed and what the network makes of them in float64."""
        reference = make_reference(self.network, seed, count, self.latent_dim)
        return reference.latents, reference.pixels

    @cached_property
    def stock_export(self) -> bytes:
        """`torch.onnx.export` of the module as one would write it: its default opset, the batch left open."""
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
