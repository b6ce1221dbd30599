"""`ganport demo`: the main job from end to end, in minutes, on images that scikit-learn carries."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganport_cli.terminal import Json, console, print_json, say, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ganport_bench.timing import Throughput
    from ganport_runtime.manifest import Manifest
    from ganport_runtime.tuning.tuner import Tuning
    from ganport_train.config import TrainingConfig

STEPS = 1500
COUNT, SEED = 64, 7  # of the grid
GAP = 3  # pixels: the digits fill their images and would run into each other


def demo(
    out: Annotated[Path, typer.Option(help="The folder of the demo's run, bundle and grid.")] = Path("demo"),
    steps: Annotated[int, typer.Option(min=1, help="Training steps.")] = STEPS,
    tuning_seconds: Annotated[float, typer.Option(min=1, help="About how long tuning may take.")] = 40.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the settings and stop.")] = False,
    json: Json = False,
) -> None:
    """Train on scikit-learn's digits, export, tune, generate a grid, measure: minutes on two CPU cores.

    A second call goes on from what is there: a finished training run is not trained again.

    Example: ganport demo --out demo
    """
    from ganport_train.config import preset

    config = preset("rpgan", "digits", resolution=32, width=16, steps=steps, sample_every=250)
    if dry_run:
        from ganport_cli.training_progress import TrainingProgress

        TrainingProgress().show_settings(config)
        if json:
            print_json(config.to_json())
        return
    run, bundle, grid = out / "run", out / "digits.ganport", out / "digits.png"
    _heading(f"1/5  Training a generator and a discriminator on digits, {steps} steps")
    _train(config, run)
    _heading("2/5  Exporting them to ONNX in several forms and precisions, each measured")
    manifest = _export(run, bundle)
    _heading("3/5  Tuning: which of them is fastest on this machine, within a PSNR of 35 dB")
    tuning = _tune(bundle, tuning_seconds)
    _heading("4/5  Generating images from the bundle, without PyTorch")
    plan = _generate(bundle, grid)
    _heading("5/5  Measuring: images per second, latents and pixel processing included")
    rows = _bench(run, bundle)
    _next_steps(run, bundle, grid)
    if json:
        document: dict[str, Any] = {"run": str(run), "bundle": str(bundle), "grid": str(grid)}
        document |= {"variants": manifest.to_json()["variants"], "plan": plan}
        print_json(document | {"throughput": [asdict(row) for row in rows], "tuning": tuning.to_json()})


def _heading(text: str) -> None:
    console().print(f"\n[bold]{text}[/bold]")


def _train(config: "TrainingConfig", run: Path) -> None:
    from ganport_train.trainer import train

    from ganport_cli.training_progress import TrainingProgress

    with TrainingProgress() as watcher:
        result = train(config, run, resume=(run / "config.json").exists(), observer=watcher)
    if result.interrupted:
        watcher.say(f"Stopped and saved at step {result.step}; the same command goes on from there.")
        raise typer.Exit(watcher.exit_code)


def _export(run: Path, bundle: Path) -> "Manifest":
    from ganport_export import export_run

    from ganport_cli.commands.export import show_figures, show_step

    def note(line: str) -> None:
        say(f"Note: {line}")

    with console().status("Exporting") as status:
        manifest = export_run(run, bundle, overwrite=True, observer=note, progress=show_step(status))
    show_figures(manifest)
    return manifest


def _tune(bundle: Path, seconds: float) -> "Tuning":
    from ganport_runtime.tuning.tuner import tune

    from ganport_cli.commands.tune import show_choices, tuning_progress

    with tuning_progress() as show:
        tuning = tune(bundle, seconds=seconds, on_progress=show)
    show_choices(tuning)
    if tuning.note:
        say(f"Note: {tuning.note}")
    return tuning


def _generate(bundle: Path, grid: Path) -> str:
    from ganport_runtime import Generator

    from ganport_cli.outputs import write_grid

    with Generator.open(bundle) as generator:
        write_grid(grid, [generator.sample(COUNT, seed=SEED)], gap=GAP)
        console().print(f"{grid}: {COUNT} images of seed {SEED}\nplan: {generator.plan}", soft_wrap=True)
        return str(generator.plan)


def _bench(run: Path, bundle: Path) -> "Sequence[Throughput]":
    from ganport_bench.timing import compare

    rows = compare(run, bundle)
    result = table("", ("batch", "system", "images/s", "times PyTorch (95 % interval)"), ())
    for row in rows:
        speedup = f"{row.speedup.value:.2f} ({row.speedup.low:.2f} to {row.speedup.high:.2f})"
        result.add_row(str(row.batch), row.system, f"{row.images_per_second.value:,.0f}", speedup)
    console().print(result)
    return rows


def _next_steps(run: Path, bundle: Path, grid: Path) -> None:
    _heading("Where to go next")
    name, bench, features = (shlex.quote(str(path)) for path in (bundle, run.parent / "bench", run.parent / "features"))
    for line in (
        f"look at {grid} and at the grids of training in {run / 'samples'}",
        f"ganport info {name}",
        f"ganport tune {name}",
        f"ganport bench {shlex.quote(str(run))} --bundle {name} --quick --report {bench}",
        f"ganport generate {name} --count 16 --seed 1 --out sixteen.png",
        f"ganport features {name} --data digits --report {features}",
        "ganport train --data YOUR_IMAGES --out runs/mine",
    ):
        say(f"  {line}")
