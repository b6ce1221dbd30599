"""`ganport export-triton`: a bundle to a model repository of the Triton Inference Server, and to KServe's YAML."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ganport_cli.plan_options import BundleArgument
from ganport_cli.terminal import Json, console, print_json, say, table

if TYPE_CHECKING:
    from ganport_serve.triton.repository import Exported

OutOption = Annotated[Path, typer.Option(help="The model repository to write, such as model_repository.")]
BackendsOption = Annotated[
    str | None,
    typer.Option(help="Of Triton: onnxruntime, tensorrt, python, separated by commas; not given: all that it can be."),
]
VariantOption = Annotated[
    list[str] | None,
    typer.Option(help="The id of a variant or engine to run by its own backend; not given: fp32, as trained."),
]
DeviceOption = Annotated[str, typer.Option(help="cpu or cuda, for onnxruntime and python; tensorrt is cuda.")]
InstancesOption = Annotated[int, typer.Option(help="Copies of each model that run at the same time.")]
ThreadsOption = Annotated[int | None, typer.Option(help="CPU threads of each; not given: as many as its engine takes.")]
PrecisionOption = Annotated[str, typer.Option(help="Of the python models: auto, fp32, bf16, fp16 or int8.")]
DelayOption = Annotated[float, typer.Option(help="Milliseconds after which any batch size goes to an idle model.")]
QueueOption = Annotated[int, typer.Option(help="Requests that may wait for a model.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a model repository that is there.")]
StorageOption = Annotated[str | None, typer.Option(help="Where KServe will fetch the repository, such as s3://a/b.")]


def export_triton(  # one parameter an option, which is how typer reads a command line
    bundle: BundleArgument,
    out: OutOption,
    backends: BackendsOption = None,
    variant: VariantOption = None,
    device: DeviceOption = "cpu",
    instances: InstancesOption = 1,
    threads: ThreadsOption = None,
    precision: PrecisionOption = "auto",
    max_delay_ms: DelayOption = 2.0,
    max_queue: QueueOption = 1024,
    storage_uri: StorageOption = None,
    overwrite: Overwrite = False,
    json: Json = False,
) -> None:
    """Write a bundle as a model repository of the Triton Inference Server.

    Models of the backends onnxruntime and tensorrt hold one graph or engine each; those of the backend python carry
    the bundle and ganport's runtime, which picks the fastest plan where they run, and make images of seeds as well.
    The files kserve-triton.yaml and kserve-ganport.yaml are InferenceServices for KServe.

    Example: ganport export-triton emoji.ganport --out model_repository --backends python
    """
    from ganport_serve.triton.choices import RepositoryError, TritonChoices
    from ganport_serve.triton.repository import export_repository

    try:
        choices = TritonChoices(
            backends=None if backends is None else tuple(word.strip() for word in backends.split(",") if word.strip()),
            variants=tuple(variant or ()),
            device=device,
            instances=instances,
            threads=threads,
            precision=precision,
            max_delay=max_delay_ms / 1000,
            max_queue=max_queue,
        )
    except RepositoryError as error:
        raise typer.BadParameter(str(error)) from None

    with console().status("Writing the model repository") as status:
        show = {"on_model": lambda name: status.update(f"Writing the model {name}")}
        exported = export_repository(bundle, out, choices, storage_uri=storage_uri, overwrite=overwrite, **show)
    _show(exported)
    if json:
        print_json(_document(exported))


def _show(exported: "Exported") -> None:
    whole = "the whole bundle, by the ganport runtime"
    rows = [(one.description.name, one.description.backend, one.entry.id if one.entry else whole)
            for one in exported.models]  # fmt: skip
    console().print(table("Models", ("name", "backend of Triton", "runs"), rows))
    for line in (*exported.left_out, *exported.notes):
        say(f"Note: {line}")
    say(f"Wrote {exported.path}")


def _document(exported: "Exported") -> dict[str, Any]:
    return {
        "out": str(exported.path),
        "models": [
            {
                "name": model.description.name,
                "backend": model.description.backend,
                "role": model.role,
                "device": model.description.device,
                "entry": None if model.entry is None else model.entry.id,
            }
            for model in exported.models
        ],
        "left_out": [str(one) for one in exported.left_out],
        "notes": list(exported.notes),
    }
