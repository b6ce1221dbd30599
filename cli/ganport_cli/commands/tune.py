"""`ganport tune`: measures every plan of a bundle on this machine and remembers the best within a budget."""

import math
from typing import Annotated

import typer

from ganport_cli.plan_options import BundleArgument
from ganport_cli.terminal import Json, print_json
from ganport_cli.tuning_report import show_tuning, tuning_progress

MinPsnr = Annotated[
    float,
    typer.Option(min=0, max=100, help="The least mean PSNR in dB against the fp32 images; worse plans are refused."),
]
MaxWorst = Annotated[
    int | None, typer.Option(min=0, max=255, help="The largest difference of any pixel value, of 255; not given: any.")
]
ForBatch = Annotated[
    int | None,
    typer.Option(min=1, help="The batch size that the plan is chosen for; not given: all batch sizes alike."),
]
Seconds = Annotated[float, typer.Option(min=1, help="About how long it may take; what it leaves out is said.")]


def tune(
    bundle: BundleArgument,
    min_psnr: MinPsnr = 35.0,
    max_worst: MaxWorst = None,
    seconds: Seconds = 100.0,
    for_batch: ForBatch = None,
    json: Json = False,
) -> None:
    """Measure every plan of a bundle on this machine, and remember the fastest within the budget.

    One plan serves every batch size, so that an image of a seed does not depend on how many are made at once.

    Example: ganport tune emoji.ganport --min-psnr 38
    """
    for option, number in (("--min-psnr", min_psnr), ("--seconds", seconds)):
        if not math.isfinite(number):
            raise typer.BadParameter(f"{option} is {number}, wanted a finite number")
    from ganport_runtime import PlanError
    from ganport_runtime.tuning.record import Budget
    from ganport_runtime.tuning.tuner import tune as measure

    with tuning_progress() as show:
        tuning = measure(
            bundle, budget=Budget(min_psnr, max_worst), seconds=seconds, for_batch=for_batch, on_progress=show
        )
    show_tuning(tuning)
    if json:
        print_json(tuning.to_json())
    if tuning.file is None:
        raise PlanError(tuning.note)
