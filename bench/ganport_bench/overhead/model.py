"""Bundles to measure where none is given: networks of the real sizes, hardly trained, for speed knows no quality."""

from pathlib import Path

from ganport_export import export_run
from ganport_train.config import preset
from ganport_train.trainer import train


def make_bundle(folder: Path, *, resolution: int, width: int) -> Path:
    """Train two steps on digits, export, and return the bundle; everything is left in `folder`."""
    name = f"{resolution}x{resolution}-width-{width}"
    config = preset("rpgan", data="digits", resolution=resolution, width=width, batch_size=16, steps=2)
    bundle = folder / f"{name}.ganport"
    train(config, folder / f"run-{name}")
    export_run(folder / f"run-{name}", bundle, forms=("deconv",), precisions=("fp32",))
    return bundle
