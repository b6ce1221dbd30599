"""The run and the bundle that are measured: given ones, or made here for the occasion."""

from collections.abc import Callable
from pathlib import Path

from ganport_export import export_run
from ganport_train.config import preset
from ganport_train.trainer import train

__all__ = ["make_bundle", "make_run"]

STEPS = 5


def make_run(folder: Path, on_step: Callable[[str], None], **settings: int) -> Path:
    """A 64x64 generator of width 64 after a few steps on digits: of the real size, its images mean nothing.

    Args:
        folder: where the run goes.
        on_step: called with a few words first.
        settings: of the training, over the sizes that the targets are about.
    """
    chosen = {"resolution": 64, "width": 64, "kernel": 4, "batch_size": 16, "steps": STEPS, **settings}
    on_step(f"no run was given: a generator to measure, {chosen['steps']} steps on digits")
    config = preset("rpgan", data="digits", **chosen)
    train(config, folder / "run")
    return folder / "run"


def make_bundle(run: Path, folder: Path, on_step: Callable[[str], None]) -> Path:
    """Every form and precision that the export offers, in `folder`."""
    on_step(f"no bundle was given: exporting {run}")
    bundle = folder / "measured.ganport"
    export_run(run, bundle)
    return bundle
