"""Export a generator of your own, any torch.nn.Module, to a bundle that runs without PyTorch.

    pip install 'ganport[export]'
    python examples/own_generator.py [OUT]

The network takes latents, float32 [n, latent_dim], and returns images in [-1, 1], [n, 1 or 3, size, size].
"""

import sys
from pathlib import Path

import safetensors.torch
from ganport_export import export_module
from ganport_runtime import Generator
from torch import nn

LATENT_DIM, SIZE = 32, 32


def make_network() -> nn.Module:
    """Put your own network here; ganport calls this without arguments and loads the weights into it."""
    return nn.Sequential(
        nn.Linear(LATENT_DIM, 64 * 8 * 8),
        nn.Unflatten(1, (64, 8, 8)),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 3, 4, stride=2, padding=1),
        nn.Tanh(),
    )


def main(out: Path) -> None:
    """Leave the weights and the bundle in the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    weights, bundle = out / "weights.safetensors", out / "mine.ganport"
    safetensors.torch.save_file(make_network().state_dict(), weights)  # yours would be trained

    # "module:function" is found on sys.path, where Python puts the folder of the script that it runs.
    factory = f"{Path(__file__).stem}:make_network"
    manifest = export_module(
        factory, weights=weights, latent_dim=LATENT_DIM, image_size=SIZE, out=bundle, forms=("fused",), overwrite=True
    )
    for variant in manifest.variants:
        print(f"{variant.id}: {variant.fidelity.get('psnr_db_mean', 100):.1f} dB against fp32")

    with Generator.open(bundle) as generator:
        images = generator.sample(16, seed=7)
        print("plan:", generator.plan)
        print("images:", images.dtype, images.shape)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example-own"))
