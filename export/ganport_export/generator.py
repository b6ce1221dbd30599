"""Makes a generator's graphs and engines; each fp32 graph must pass the gate against the network in float64."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir
from ganport_runtime.differences import PSNR_LIMIT_DB, psnr_db
from ganport_runtime.manifest import PRECISIONS, ImageInfo
from torch import nn

from ganport_export.engines import BuiltEngine, build_engines
from ganport_export.errors import ExportError, Observer, ParityError, Progress, QuantizeError
from ganport_export.fidelity import ship
from ganport_export.graph import to_bytes
from ganport_export.inputs import (
    CALIBRATION_SEED,
    HELD_OUT_SEED,
    PARITY_SEEDS,
    SAMPLES_SEED,
    Feed,
    Feeds,
    GeneratorInputs,
    first_rows,
    rows_of,
)
from ganport_export.passes.graph_view import PRODUCTS
from ganport_export.passes.name_plainly import name_plainly
from ganport_export.reference import NetworkReference, Pixels, check_values, make_reference
from ganport_export.session import image_maker
from ganport_export.trace import EXAMPLES, GeneratorGraph, build_graph, generator_signature
from ganport_export.variants import FORMS, Converted, ExportChoices, ExportedGraph, to_precision

BATCHES = (1, 2, 7, 64)  # one, the size that was traced, an odd one, and a full one
NO_BUNDLE = "no bundle was written"
MARGIN_DB = 5.0  # above the floor: layers of an int8 graph go back to float until it is this good on held-out latents
NOTHING_TO_CHANGE = "the network has no transposed convolution of stride 2"
SAMPLES = 64  # the images of samples.png


@dataclass(frozen=True)
class GeneratorParity:
    """A generator's graph beside its network in float64."""

    largest_difference: int  # of any pixel value, of 255
    psnr_db: float  # peak signal-to-noise ratio over all pixel values together, in dB, 100 at most
    share_off: float  # share of pixel values that differ by one or more, 0 to 1
    largest_batch_difference: int  # of 255, of a latent's pixels in smaller batches from those in the largest one
    images: int
    seeds: tuple[int, ...]
    batches: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """The figures by name."""
        return asdict(self) | {"seeds": list(self.seeds), "batches": list(self.batches)}


@dataclass(frozen=True)
class GeneratorGate:
    """What a generator's figures must keep to at least."""

    largest_difference: int
    psnr_db: float

    def check(self, name: str, parity: GeneratorParity) -> None:
        """Raise `ParityError` naming the first figure of the graph `name` that is over its limit."""
        if parity.largest_difference > self.largest_difference:
            figure = f"a pixel differs by {parity.largest_difference} of 255 from the network's, the limit is"
            raise ParityError(f"{name} is no faithful export: {figure} {self.largest_difference}; {NO_BUNDLE}")
        if parity.psnr_db < self.psnr_db:
            figure = f"PSNR {parity.psnr_db:.1f} dB against the network, the limit is"
            raise ParityError(f"{name} is no faithful export: {figure} {self.psnr_db:g} dB; {NO_BUNDLE}")
        if parity.largest_batch_difference > self.largest_difference:
            figure = f"a latent's pixel differs by {parity.largest_batch_difference} of 255 from batch to batch"
            raise ParityError(f"{name}: {figure}, the limit is {self.largest_difference}; {NO_BUNDLE}")


GENERATOR_GATES: Mapping[str, GeneratorGate] = {"fp32": GeneratorGate(largest_difference=1, psnr_db=55.0)}


def measure_generator(
    run: Callable[[Feed], Pixels], references: Sequence[NetworkReference], batches: Sequence[int] = BATCHES
) -> GeneratorParity:
    """Run a graph on every reference's first inputs in each batch size, and compare with the network's images."""
    wanted, made, between = [], [], [0]
    for reference in references:
        in_largest = run(first_rows(reference.inputs, max(batches)))
        for batch in batches:
            images = in_largest if batch == max(batches) else run(first_rows(reference.inputs, batch))
            wanted.append(reference.pixels[:batch])
            made.append(images)
            between.append(int(_differences(in_largest[:batch], images).max()))
    difference = _differences(np.concatenate(wanted), np.concatenate(made))
    return GeneratorParity(
        largest_difference=int(difference.max()),
        psnr_db=float(psnr_db(np.mean(np.square(difference, dtype=np.int32)))),
        share_off=float(np.mean(difference > 0)),
        largest_batch_difference=max(between),
        images=sum(map(len, made)),
        seeds=tuple(reference.seed for reference in references),
        batches=tuple(batches),
    )


def _differences(wanted: Pixels, made: Pixels) -> npt.NDArray[np.int16]:
    if wanted.shape != made.shape or made.dtype != np.uint8:
        raise ParityError(f"images are {made.dtype} {made.shape}, the network's are {wanted.dtype} {wanted.shape}")
    return np.asarray(np.abs(wanted.astype(np.int16) - made))


@dataclass(frozen=True)
class GeneratorParts:
    """A generator's part of a bundle."""

    graphs: tuple[ExportedGraph, ...]  # the fp32 reference first
    strips: Mapping[str, bytes]  # comparison images, PNG files by their paths in the bundle
    engines: tuple[BuiltEngine, ...]
    shown: Pixels  # the images of `samples.png`, uint8 [n, height, width, channels]


def generator_parts(
    network: nn.Module,
    inputs: GeneratorInputs,
    image: ImageInfo,
    choices: ExportChoices,
    observer: Observer,
    progress: Progress,
) -> GeneratorParts:
    """Make, measure and build everything that was chosen."""
    graphs = generator_graphs(network, inputs, image, choices, observer, progress)
    shown = image_maker(graphs[0].data)(inputs.draw(SAMPLES_SEED, SAMPLES))
    shipped, strips = ship(graphs, inputs, choices.min_psnr, observer, progress)
    return GeneratorParts(shipped, strips, _engines(shipped, choices.engines, observer, progress), shown)


def generator_graphs(
    network: nn.Module,
    inputs: GeneratorInputs,
    image: ImageInfo,
    choices: ExportChoices,
    observer: Observer,
    progress: Progress,
) -> tuple[ExportedGraph, ...]:
    """The graphs of `generator_parts`, the fp32 reference first; all in fp32 are measured against the network."""
    progress("running the network in float64")
    references = [make_reference(network, inputs, seed, max(BATCHES)) for seed in PARITY_SEEDS]
    for reference in references:
        check_values(reference, observer)
    progress("tracing the network")
    example = first_rows(references[0].inputs, EXAMPLES)
    traced = build_graph(GeneratorGraph(network), example, generator_signature(example, image), observer)
    models = _in_forms(traced, choices.forms, observer)
    maker = _GraphMaker(references, choices, inputs.feeds(image.height * image.width), observer, progress)
    graphs = tuple(graph for form, model in models for graph in maker.graphs(form, model))
    for precision in sorted(set(choices.precisions) - {graph.precision for graph in graphs}):
        observer(f"no graph is made in {precision}: the form {', '.join(dict(models))} does not come in it")
    return graphs


def _in_forms(traced: onnx_ir.Model, asked: Sequence[str], observer: Observer) -> Sequence[tuple[str, onnx_ir.Model]]:
    made = []
    for name, form in FORMS.items():
        if name not in asked:
            continue
        model = traced.clone()
        left = form.change(model) if form.change else ()
        name_plainly(model)
        if form.change and to_bytes(model) == to_bytes(traced):
            observer(f"form {name} is left out, the graph would be the same: {'; '.join(left) or NOTHING_TO_CHANGE}")
            continue
        for line in left:
            observer(f"form {name}: {line}")
        made.append((name, model))
    if not made:
        raise ExportError(f"no graph is left in the forms {', '.join(asked)}: export the form deconv")
    return made


@dataclass(frozen=True)
class _GraphMaker:
    """Makes the graphs of one form after the other in every precision that is asked for."""

    references: Sequence[NetworkReference]
    choices: ExportChoices
    feeds: Feeds
    observer: Observer
    progress: Progress

    def graphs(self, form: str, model: onnx_ir.Model) -> Iterator[ExportedGraph]:
        """All graphs of a form, fp32 first."""
        kinds = {"fp32": (None,), "fp16": (None,) if FORMS[form].half else (), "int8": FORMS[form].int8}
        for precision in PRECISIONS:
            if precision in self.choices.precisions:
                for kind in kinds[precision]:
                    yield from self._graph(form, model, precision, kind)

    def _graph(self, form: str, model: onnx_ir.Model, precision: str, kind: str | None) -> Iterator[ExportedGraph]:
        self.progress(
            {
                "fp32": f"measuring form {form} in fp32 against the network in float64",
                "fp16": f"making form {form} in fp16",
                "int8": f"quantizing form {form} to int8, {kind}",
            }[precision]
        )
        target_db = min(self.choices.min_psnr + MARGIN_DB, PSNR_LIMIT_DB)
        try:
            made = to_precision(model, precision, kind or "", self.feeds, target_db, self.observer)
        except QuantizeError as error:
            self.observer(f"form {form} is not made in {precision}: {error}")
            return
        for each in made.kept:
            if each.op_type in PRODUCTS:
                self.observer(f"form {form} in fp16: {each}")
        data = to_bytes(made.model, check=True)
        parity: Mapping[str, Any] = {}
        if precision == "fp32":
            figures = measure_generator(image_maker(data), self.references)
            GENERATOR_GATES[precision].check(f"generator-{form}-{precision}", figures)
            parity = figures.to_json()
        yield ExportedGraph("generator", form, precision, data, kind, parity, details=self._details(made, precision))

    def _details(self, made: Converted, precision: str) -> Mapping[str, Any]:
        if precision == "fp16":
            reasons = {each.node: each.reason for each in made.kept}
            return {"half": {"kept_float32": list(reasons), "reasons": reasons}}
        if made.quantized is None:
            return {}
        sources = {
            "calibration_images": sum(map(rows_of, self.feeds.calibration)),
            "calibration_seed": CALIBRATION_SEED,
            "held_out_images": sum(map(rows_of, self.feeds.held_out)),
            "held_out_seed": HELD_OUT_SEED,
        }
        return {"quantization": {**made.quantized.to_json(), **sources}}


def _engines(
    graphs: Sequence[ExportedGraph], libraries: Sequence[str], observer: Observer, progress: Progress
) -> tuple[BuiltEngine, ...]:
    if not libraries:
        return ()
    fit = [graph for graph in graphs if FORMS[graph.form].engines]
    for graph in graphs:
        if graph not in fit:
            observer(f"no engine of {graph.id}: the form {graph.form} is for CPUs")
    return tuple(build_engines(fit, libraries, observer, progress=progress))
