"""A tiny network that peers run, and PyTorch's number of threads left as it was."""

from collections.abc import Iterator

import pytest
import torch
from ganport_bench.peers.source import NetworkSource, Source
from ganport_train.networks import DcganGenerator, initialize

RESOLUTION, LATENT_DIM = 16, 5


@pytest.fixture(scope="session")
def source() -> Source:
    """A 16x16 color generator of width 4 whose weights and statistics are drawn at random."""
    network = DcganGenerator(resolution=RESOLUTION, channels=3, width=4, kernel=4, latent_dim=LATENT_DIM)
    random = torch.Generator().manual_seed(3)
    initialize(network, "he", random)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=random)
            module.running_var = torch.rand(module.num_features, generator=random) + 0.5
    return NetworkSource(network.eval(), LATENT_DIM)


@pytest.fixture(autouse=True)
def torch_threads() -> Iterator[None]:
    """Peers set the number of threads, which is the whole process's."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
