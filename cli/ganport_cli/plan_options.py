"""The options by which commands open a bundle's networks, and the plan as a part of their documents."""

from collections.abc import Mapping
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
    """`kind.open`, with values that no bundle could make right as bad usage.

    Raises:
        typer.BadParameter: an option has an unknown value.
        BundleError, PlanError: as `kind.open`.
    """
    from ganport_runtime import InputError

    try:
        return kind.open(bundle, device=device, precision=precision, backend=backend, threads=threads)
    except InputError as error:
        raise typer.BadParameter(f"--{error}") from None


def plan_document(plan: "Plan") -> dict[str, Any]:
    """The plan as JSON, its refusals as one sentence each."""
    return asdict(plan) | {"text": str(plan), "refusals": [str(refusal) for refusal in plan.refusals]}


def images_by_bucket(count: int, batch: int) -> dict[int, int]:
    """How many of `count` images, made `batch` at a time, each bucket makes; the one that makes most comes first."""
    from ganport_runtime.buckets import TOP, bucket_of

    found: dict[int, int] = {}
    for size, times in ((batch, count // batch), (count % batch, 1)):
        rest = size % TOP
        for bucket, images in ((TOP, size - rest), (bucket_of(rest), rest)):
            found[bucket] = found.get(bucket, 0) + times * images
    return {bucket: images for bucket, images in sorted(found.items(), key=lambda item: -item[1]) if images}


def plans_in_use(plans: "Mapping[int, Plan]", count: int, batch: int) -> "dict[int, Plan]":
    """The plans that so many images go through, by the first of their buckets; the one that makes most comes first."""
    images: dict[str, int] = {}
    firsts: dict[str, int] = {}
    for bucket, number in images_by_bucket(count, batch).items():
        text = str(plans[bucket])
        firsts.setdefault(text, bucket)
        images[text] = images.get(text, 0) + number
    return {firsts[text]: plans[firsts[text]] for text in sorted(images, key=lambda text: -images[text])}
