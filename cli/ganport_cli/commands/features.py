"""`ganport features`: what a bundle's discriminator has learned, beside controls."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ganport_cli.plan_options import BundleArgument
from ganport_cli.terminal import Json, console, print_json, table

if TYPE_CHECKING:
    from ganport_evaluate import Evaluation


Source = Annotated[
    str,
    typer.Option("--data", metavar="SOURCE", help="digits, a folder (sub-folders are classes), a .zip or an .npz."),
]
Report = Annotated[
    Path | None, typer.Option("--report", metavar="DIR", help="Write features.json, table.md and figures there.")
]
Background = Annotated[str, typer.Option(help="Color below transparent pixels.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave unreadable images out and count them.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the split, the random weights and every algorithm.")]


def features(
    bundle: BundleArgument,
    data: Source,
    report: Report = None,
    background: Background = "white",
    skip_bad: SkipBad = False,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Measure a discriminator's features: linear probe, nearest neighbors, clusters, pictures.

    Beside them, the same on raw pixels, PCA of pixels and the discriminator with random weights. Without labels:
    clusters and pictures only. Near-duplicate images raise every accuracy, for they fall on both sides of the split.

    Example: ganport features emoji.ganport --data emoji.zip --report emoji-features
    """
    from ganport_evaluate import check_directory, evaluate, write_report
    from ganport_train.errors import ConfigError

    terminal = console()
    if report is not None:
        check_directory(report)
    with terminal.status("features") as status:
        try:
            evaluation = evaluate(
                bundle,
                data,
                seed=seed,
                projections=report is not None,
                background=background,
                skip_bad=skip_bad,
                on_step=status.update,
            )
        except ConfigError as error:
            raise typer.BadParameter(str(error)) from None
        written = [] if report is None else write_report(evaluation, report)
    _show(evaluation)
    if report is not None:
        names = ", ".join(path.name for path in written)
        terminal.print(f"{report}: {names}", markup=False)
    if json:
        print_json(evaluation.to_json())


def _show(evaluation: "Evaluation") -> None:
    from ganport_evaluate import report

    terminal = console()
    terminal.print(table(escape(report.title(evaluation)), report.columns(evaluation), report.rows(evaluation)))
    for sentence in (*report.verdicts(evaluation), *evaluation.notes):
        terminal.print(sentence, markup=False)
