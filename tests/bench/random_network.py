"""A tiny network for baselines."""

import torch
from ganport_bench.subject import NetworkSource
from ganport_train.networks import DcganGenerator, initialize


def random_network() -> NetworkSource:
    """A 16x16 color generator of width 4 and 5 latents whose weights and statistics are drawn at random."""
    network = DcganGenerator(resolution=16, channels=3, width=4, kernel=4, latent_dim=5)
    random = torch.Generator().manual_seed(3)
    initialize(network, "he", random)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features, generator=random)
            module.running_var = torch.rand(module.num_features, generator=random) + 0.5
    return NetworkSource(network.eval(), 5)
