"""The options with which commands open a bundle's networks, and the plans in their documents."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from ganport_runtime import Plan
    from ganport_runtime.network import Network

BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The bundle's directory.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Precision = Annotated[
    str, typer.Option(help="auto, fp32, bf16, fp16 or int8; auto keeps within the budget of ganport tune.")
]
Backend = Annotated[
    str, typer.Option(help="auto, onnxruntime, openvino, tensorrt, or another that ganport doctor lists.")
]
Threads = Annotated[
    int | None, typer.Option(help="CPU threads; not given: as many as the plan says, or else the engine takes.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]

N = TypeVar("N", bound="Network")


def open_network(kind: type[N], bundle: Path, *, device: str, precision: str, backend: str, threads: int | None) -> N:
    """`kind.open`, with an option of an unknown value as bad usage."""
    from ganport_runtime import InputError

    try:
        return kind.open(bundle, device=device, precision=precision, backend=backend, threads=threads)
    except InputError as error:
        raise typer.BadParameter(f"--{error}") from None


def plan_document(plan: "Plan") -> dict[str, Any]:
    """The plan as JSON, its refusals as one sentence each."""
    return asdict(plan) | {"text": str(plan), "refusals": [str(refusal) for refusal in plan.refusals]}
