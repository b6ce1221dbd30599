"""What ganport costs over the bare tools under it, beside thresholds: `python bench/claims/overhead.py`.

A missed threshold is shown and is no failure. The overhead around an engine that does nothing is part of `ganport
bench`.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import script
from ganport_bench.effort import OnStep
from ganport_bench.errors import BenchError
from ganport_bench.figures import Figure, figures_table
from ganport_bench.fresh import import_seconds, live
from ganport_bench.machine import Watch
from ganport_bench.records import own_cache
from ganport_bench.tables import Table
from ganport_bench.timing import Estimate, Seconds, difference, interleave, median, ratio, stopwatch
from script import at_most

NAMES = ("import", "open", "sample", "train", "memory")

IMPORT_MS = 20.0
OPEN_RATIO = 1.2
SAMPLE_64_PERCENT = 3.0
SAMPLE_1_US = 60.0
TRAIN_PERCENT = 5.0
MEMORY_RATIO = 1.3

FEW = 1_000  # images of the smaller run whose memory is measured
TRAINING = {"data": "digits", "resolution": 32, "width": 32}  # the smaller, the more a loop's own cost weighs


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show a table on stderr and, on request, print the document on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, help="open and sample this bundle, not one made here")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help=" ".join(NAMES))
    parser.add_argument("--quick", action="store_true", help="few rounds, and 10,000 images instead of 100,000")
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout")
    options = parser.parse_args(arguments)
    return script.run("overhead", partial(_findings, options), width=160, as_json=options.json)


def _findings(options: argparse.Namespace, folder: Path, on_step: OnStep) -> script.Findings:
    watch = Watch()  # first, or the load would be the benchmark's own
    with own_cache(folder / "cache"):  # the bundle is measured untuned
        found = measure(options.only, options.bundle, folder, on_step, options.quick)
    facts = {"format": 1, "is_quick": options.quick, "machine": watch.finished()}
    document = {**facts, "figures": [one.to_json() for one in found]}
    remarks = ["Quick: few rounds, fewer images."] if options.quick else []
    return tables(document), remarks, document


def tables(document: Mapping[str, Any]) -> list[Table]:
    """One row for each figure."""
    return [figures_table("What ganport costs over the bare tools", document["figures"])]


def measure(names: Sequence[str], bundle: Path | None, folder: Path, on_step: OnStep, quick: bool) -> list[Figure]:
    """The figures of `names`; without a bundle, one of a 64x64 generator of width 64 is made in `folder`."""
    figures: list[Figure] = []
    if "import" in names:
        on_step("import")
        figures.append(importing(9 if quick else 13))
    if "open" in names or "sample" in names:
        chosen = bundle or _made(folder, 64, 64, on_step)
        if "open" in names:
            on_step("opening a bundle")
            figures.append(opening(chosen, 9 if quick else 13))
        if "sample" in names:
            on_step("sampling")
            figures += sampling(chosen, *((20, 100) if quick else (100, 400)))
    if "train" in names:
        on_step("training beside a bare loop")
        figures.append(training(folder, 6 if quick else 12))
    if "memory" in names:
        many = 10_000 if quick else 100_000
        small = _made(folder, 16, 4, on_step)
        on_step(f"memory of {many:,} images")
        figures.append(memory(small, folder, many))
    return figures


def _made(folder: Path, resolution: int, width: int, on_step: OnStep) -> Path:
    """A bundle of a network of this size after two steps on digits: its speed is real, its images mean nothing."""
    from ganport_bench.subject import make_run
    from ganport_export import export_run

    name = f"{resolution}x{resolution}-width-{width}"
    run = make_run(folder / name, on_step, resolution=resolution, width=width, steps=2)
    export_run(run, folder / f"{name}.ganport", forms=("deconv",), precisions=("fp32",))
    return folder / f"{name}.ganport"


def _milliseconds(seconds: Seconds) -> float:
    return round(median(seconds).value * 1e3, 2)


def importing(rounds: int) -> Figure:
    """Milliseconds of `import ganport_runtime` over `import numpy`, in fresh interpreters."""
    systems = {name: import_seconds(name) for name in ("ganport_runtime", "numpy")}
    seconds = interleave(systems, rounds=rounds, warmup=2)
    estimate = difference(seconds["ganport_runtime"], seconds["numpy"]).scaled(1e3)
    details = {f"{name}_ms": _milliseconds(taken) for name, taken in seconds.items()}
    title = "import ganport_runtime, over import numpy alone"
    return at_most("import", title, "ms", estimate, IMPORT_MS, details=details)


def opening(bundle: Path, rounds: int) -> Figure:
    """`Generator.open` on the CPU over an onnxruntime session of the same file."""
    from ganport_runtime import Generator

    file = _generator_file(bundle)
    systems = {
        "ganport": stopwatch(lambda: Generator.open(bundle, device="cpu").close()),
        "bare": stopwatch(lambda: _bare_session(file)),
    }
    seconds = interleave(systems, rounds=rounds, warmup=2)
    details = {f"{name}_ms": _milliseconds(taken) for name, taken in seconds.items()}
    details["model_bytes"] = file.stat().st_size
    title = "opening a bundle, over the same onnxruntime session by hand"
    return at_most("open", title, "x", ratio(seconds["ganport"], seconds["bare"]), OPEN_RATIO, details=details)


def _generator_file(bundle: Path) -> Path:
    """The ONNX file that the runtime chooses on this machine's CPU."""
    from ganport_runtime import Generator

    with Generator.open(bundle, device="cpu") as generator:
        variants = {variant.id: variant for variant in generator.bundle.manifest.variants}
        return bundle / variants[generator.plan.variant].file


def _bare_session(file: Path) -> Any:
    import onnxruntime  # type: ignore[import-untyped]

    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])


def sampling(bundle: Path, rounds_64: int, rounds_1: int) -> list[Figure]:
    """What `generator.sample` takes over the bare session on ready latents, at batch 64 and 1."""
    large, one = _sampled(bundle, 64, rounds_64, calls=1), _sampled(bundle, 1, rounds_1, calls=5)
    ganport, bare = large["next_image"], large["bare"]
    details = {
        "ganport_ms": _milliseconds(ganport),
        "bare_ms": _milliseconds(bare),
        "ganport_images_per_second": round(64 / median(ganport).value, 1),
    }
    over = "over the bare session on ready latents"
    percent = ratio(ganport, bare).scaled(100, -100)
    figures = [at_most("sample_64", f"generator.sample(64), {over}", "%", percent, SAMPLE_64_PERCENT, details=details)]
    for name, key, what in (
        ("sample_1", "next_image", "one image of a seed after another"),
        ("sample_1_new_seed", "new_seed", "a new seed each time"),
    ):
        times = {"ganport_us": one[key], "bare_us": one["bare"]}
        details = {side: round(median(taken).value * 1e6, 1) for side, taken in times.items()}
        added = difference(one[key], one["bare"]).scaled(1e6)
        title = f"generator.sample(1), {what}, {over}"
        figures.append(at_most(name, title, "us", added, SAMPLE_1_US, details=details))
    return figures


def _sampled(bundle: Path, batch: int, rounds: int, calls: int) -> dict[str, Seconds]:
    """Seconds of one call of each system. Ganport draws new latents every time; the bare session reuses its own.

    Both sides use one session. Of two sessions in a process each measures the other too: onnxruntime's threads spin for
    a while after a run, and on few cores they disturb the other session.
    """
    from ganport_runtime import Generator, latents
    from ganport_runtime.backends.onnxruntime import OnnxRuntimeSession
    from ganport_runtime.batches import BUCKETS
    from ganport_runtime.opening import Running

    session = _bare_session(_generator_file(bundle))
    with Generator.open(bundle, device="cpu") as opened:
        plan, description = opened.plan, opened.bundle
    running = Running(plan, OnnxRuntimeSession(session, plan.provider, plan.device))
    with Generator(description, dict.fromkeys(BUCKETS, running)) as generator:
        ready = {"z": latents(7, 0, batch, generator.latent_dim)}
        starts, seeds = count(step=batch), count(start=8)
        systems = {
            "next_image": stopwatch(lambda: generator.sample(batch, seed=7, start=next(starts)), calls=calls),
            "new_seed": stopwatch(lambda: generator.sample(batch, seed=next(seeds)), calls=calls),
            "bare": stopwatch(lambda: session.run(["image"], ready), calls=calls),
        }
        return interleave(systems, rounds=rounds, warmup=3)


def training(folder: Path, rounds: int, **settings: Any) -> Figure:
    """Per cent that a training step takes over a bare loop's, in blocks of steps; the run is left in `folder`."""
    from bare_loop import BLOCK_STEPS, BareLoop, TrainingTurns
    from ganport_train.config import preset
    from ganport_train.trainer import train

    never = 10**9
    steps = (rounds + 1) * BLOCK_STEPS
    config = preset("rpgan", steps=steps, checkpoint_every=never, sample_every=never, **{**TRAINING, **settings})
    turns = TrainingTurns(lambda effective, images: BareLoop(effective, images).step, rounds=rounds)
    train(config, folder / "run-of-turns", observer=turns)
    seconds = turns.seconds
    return at_most(
        "train",
        f"training, over a bare PyTorch loop ({config.resolution}x{config.resolution}, width {config.width})",
        "%",
        ratio(seconds["ganport"], seconds["bare"]).scaled(100, -100),
        TRAIN_PERCENT,
        details={f"{name}_ms_a_step": _milliseconds(taken) for name, taken in seconds.items()},
        note="samples and checkpoints, written every few hundred steps, are not in it",
    )


def memory(bundle: Path, folder: Path, many: int) -> Figure:
    """Peak resident memory of generating `many` images to a folder, over that for 1,000."""
    peaks = {number: peak_bytes(bundle, folder / f"images-{number}", number) for number in (FEW, many)}
    value = peaks[many] / peaks[FEW]
    return at_most(
        "memory",
        f"peak memory of generating {many:,} images to a folder, over {FEW:,}",
        "x",
        Estimate(value, value, value),
        MEMORY_RATIO,
        details={f"peak_mib_of_{number}": round(peak / 2**20, 1) for number, peak in peaks.items()},
        note="one run of each, so no interval",
    )


def peak_bytes(bundle: Path, folder: Path, number: int) -> int:
    """Peak resident bytes of `ganport generate` writing so many images to `folder`, which is deleted afterwards."""
    command = ["generate", str(bundle), "--count", str(number), "--seed", "7", "--out", str(folder)]
    try:
        (_, done) = live("ganport", *command)
        written = sum(1 for path in folder.rglob("*.png") if not path.name.startswith("."))
        if written != number:
            raise BenchError(f"ganport {' '.join(command)} wrote {written} images")
        if done.peak is None:
            raise BenchError("this system does not tell a process's peak memory: leave the figure `memory` out")
        return done.peak
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
