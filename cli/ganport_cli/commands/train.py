"""`ganport train`: settings from options, one training run, a progress bar, and how to go on after Ctrl-C."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ganport_train.config import choices

from ganport_cli.terminal import Json, print_json

if TYPE_CHECKING:
    from ganport_train.config import TrainingConfig

LOSSES = choices("loss")
NO_SETTINGS = ("out", "resume", "dry_run", "json")  # parameters of the command alone

DataOption = Annotated[
    str | None, typer.Option(help="digits, a folder of images (sub-folders are classes), a .zip of one, or an .npz.")
]
OutOption = Annotated[Path, typer.Option(help="The run directory: new, or one that exists with --resume.")]
PresetOption = Annotated[
    str | None, typer.Option(help="rpgan (the default), dcgan or article: the value of every setting not given.")
]


def train(  # one parameter an option, which is how typer reads a command line
    out: OutOption,
    data: DataOption = None,
    preset: PresetOption = None,
    resolution: Annotated[int | None, typer.Option(help="Height and width: 16, 32, 64, 128 or 256 pixels.")] = None,
    channels: Annotated[int | None, typer.Option(help="1 gray, 3 color; not given: as in the source.")] = None,
    background: Annotated[str | None, typer.Option(help="Color below transparent pixels: a name or #rrggbb.")] = None,
    width: Annotated[int | None, typer.Option(help="Channels of the largest feature map.")] = None,
    kernel: Annotated[int | None, typer.Option(help="Height and width of the kernels: 4 or 5.")] = None,
    latent_dim: Annotated[int | None, typer.Option(help="Numbers in a latent.")] = None,
    loss: Annotated[str | None, typer.Option(help=f"{', '.join(LOSSES[:-1])} or {LOSSES[-1]}.")] = None,
    penalty: Annotated[float | None, typer.Option(help="Gamma of the gradient penalties R1 and R2; 0: none.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Adam's, of both networks.")] = None,
    ema_decay: Annotated[float | None, typer.Option(help="Of the generator's averaged weights, per step.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images a step.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps in all, those before --resume included.")] = None,
    seed: Annotated[int | None, typer.Option(help="All random numbers follow from it.")] = None,
    checkpoint_every: Annotated[int | None, typer.Option(help="Steps between checkpoints.")] = None,
    sample_every: Annotated[int | None, typer.Option(help="Steps between sample grids.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; not given: as many as PyTorch takes.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave unreadable images out, with a count.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of --out.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check settings and data, write nothing.")] = False,
    json: Json = False,
) -> None:
    """Train a GAN on images and leave a run directory: checkpoints, sample grids, metrics.

    Settings not given are the preset's, or with --resume the run's own.

    Example: ganport train --data emoji.zip --out runs/emoji --width 32 --steps 3000
    """
    options = {name: value for name, value in locals().items() if name not in NO_SETTINGS}
    given = {name: value for name, value in options.items() if value is not None and value is not False}
    from ganport_train.errors import ConfigError

    try:
        config = _configure(given, out, resume=resume)
        if dry_run:
            _check(config, out, resume=resume, json=json)
        else:
            _run(config, out, resume=resume, json=json)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


def _configure(given: dict[str, Any], out: Path, *, resume: bool) -> "TrainingConfig":
    """The settings given over those of the run to resume, or over the preset's."""
    import dataclasses

    from ganport_train.config import preset

    if resume:
        from ganport_train.checkpoints import read_config

        return dataclasses.replace(read_config(out), **given)
    if "data" not in given:
        raise typer.BadParameter("--data is missing: digits, a folder of images, a .zip of one, or an .npz")
    return preset(given.pop("preset", "rpgan"), **given)


def _check(config: "TrainingConfig", out: Path, *, resume: bool, json: bool) -> None:
    """What `--dry-run` does: all checks of a run, its effective settings, and nothing written."""
    from ganport_train.run_directory import prepare

    from ganport_cli.training_progress import TrainingProgress

    prepared, images = prepare(config, out, resume=resume)
    watcher = TrainingProgress()
    watcher.show_settings(prepared)
    for sentence in images.notes:
        watcher.noted(sentence)
    watcher.say(f"{len(images)} images. Settings and data are in order; nothing was written.")
    if json:
        print_json(prepared.to_json())


def _run(config: "TrainingConfig", out: Path, *, resume: bool, json: bool) -> None:
    from ganport_train.trainer import train as train_run

    from ganport_cli.training_progress import TrainingProgress

    with TrainingProgress() as watcher:
        result = train_run(config, out, resume=resume, observer=watcher)
    if json:
        document: dict[str, Any] = {"run": str(result.run), "step": result.step, "interrupted": result.interrupted}
        document |= {"scores": dict(result.scores), "best": result.best}
        print_json(document | {"seconds": round(result.seconds_training, 3)})
    if result.interrupted:
        again = shlex.join(["ganport", "train", "--out", str(out), "--resume"])
        watcher.say(f"Stopped and saved at step {result.step}. Go on with: {again}")
        raise typer.Exit(watcher.exit_code)
    if result.seconds_training == 0:
        watcher.say(f"Nothing to do: {out} has reached step {result.step} already; ask for more with --steps.")
    else:
        watcher.say(f"Trained to step {result.step} in {result.seconds_training:.0f} s.")
    export = shlex.join(["ganport", "export", str(out), "--out", f"{out.name}.ganport"])
    watcher.say(f"Best checkpoint: {out / 'checkpoints' / result.best}. Next: {export}")
