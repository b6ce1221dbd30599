"""Trains a small generator, exports it with engines, and runs `ganport bench` on it."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ganport_bench.gpu.failure import GpuError

__all__ = ["BUNDLE", "run_benchmark", "steps_of"]

# Of the size that the project's figures are about; after so few steps its speed means something, its images little.
TRAINING = ("--data", "digits", "--resolution", "64", "--width", "64", "--batch-size", "16", "--steps", "100")
BUNDLE = "generator.ganport"  # what is measured, in the folder of results
BUILDERS = {"tensorrt-rtx": "tensorrt_rtx", "tensorrt": "tensorrt"}


def run_benchmark(python: Path, root: Path, results: Path, *, run: Path | None = None, quick: bool = False) -> Path:
    """Measure; the document goes to `results`/bench.json, the page with figures to `results`/report.

    Args:
        python: the environment's.
        root: ganport's source tree.
        results: an empty folder, or one with what the tests left.
        run: a training run to measure, or None to train one here.
        quick: few rounds.

    Returns:
        The document.

    Raises:
        GpuError: a command failed; it has said why.
    """
    measured = results / "run" if run is None else run
    if run is None:
        _ganport(python, root, "train", *TRAINING, "--out", measured)
    bundle, document = results / BUNDLE, results / "bench.json"
    engines = ",".join(name for name, module in BUILDERS.items() if _imports(python, module))
    _ganport(python, root, "export", measured, "--out", bundle, *(("--engines", engines) if engines else ()))
    words = ("--bundle", bundle, "--report", results / "report", "--json", *(("--quick",) if quick else ()))
    printed = _ganport(python, root, "bench", measured, *words, keep=True)
    aside = document.with_suffix(".part")
    aside.write_text(printed, "utf-8")
    return aside.replace(document)


def steps_of(bundle: Path) -> int | None:
    """For how many steps a bundle's generator was trained, or None where its manifest does not tell."""
    training = json.loads((bundle / "manifest.json").read_text("utf-8"))["training"]
    steps = training.get("steps")
    return steps if isinstance(steps, int) else None


def _ganport(python: Path, root: Path, *words: str | Path, keep: bool = False) -> str:
    """Run the command line; what it prints on stdout, where that is to be kept."""
    command: Sequence[str | Path] = [python, "-m", "ganport_cli", *words]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE if keep else None, text=True, check=False)
    if done.returncode != 0:
        raise GpuError(f"ganport {words[0]} ended with {done.returncode}; its words are above")
    return done.stdout or ""


def _imports(python: Path, module: str) -> bool:
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0
