"""Makes a generator's graphs and engines; each fp32 graph must pass the gates against the network in float64."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir
import torch
from ganport_runtime.differences import PSNR_LIMIT_DB
from ganport_runtime.latents import latents
from ganport_runtime.manifest import ImageInfo
from torch import nn

from ganport_export.bundle_writer import SAMPLES
from ganport_export.engines import BuiltEngine, build_engines, load_library
from ganport_export.errors import ExportError, Observer, ParityError, Progress, QuantizeError
from ganport_export.fidelity import Shipment, ship
from ganport_export.graph import to_file
from ganport_export.inputs import CALIBRATION_SEED, HELD_OUT_SEED, PARITY_SEEDS, SAMPLES_SEED, Feed
from ganport_export.passes.name_plainly import name_plainly
from ganport_export.passes.to_half import to_half
from ganport_export.quantize import quantize
from ganport_export.reference import Pixels, Reference, check_values, make_reference
from ganport_export.session import GeneratorSession
from ganport_export.trace import EXAMPLES, GeneratorGraph, build_graph, generator_signature
from ganport_export.variants import FORMS, Choices, Graph

BATCHES = (1, 2, 7, 64)  # one, the size that was traced, an odd one, and a full one
NO_BUNDLE = "no bundle was written"


@dataclass(frozen=True)
class ImageDifference:
    """Two sets of uint8 images side by side.

    Args:
        largest_difference: of any pixel value, of 255.
        psnr_db: peak signal-to-noise ratio over all pixel values together, in dB, 100 at most.
        share_off: share of pixel values that differ by one or more, 0 to 1.
    """

    largest_difference: int
    psnr_db: float
    share_off: float


def compare_images(reference: Pixels, images: Pixels) -> ImageDifference:
    """Compare uint8 images of one shape.

    Raises:
        ParityError: the shapes or dtypes differ.
    """
    if reference.shape != images.shape or images.dtype != np.uint8 or reference.dtype != np.uint8:
        raise ParityError(
            f"images are {images.dtype} {images.shape}, the network's are {reference.dtype} {reference.shape}"
        )
    difference = np.abs(reference.astype(np.int16) - images)
    mean_square = float(np.mean(np.square(difference, dtype=np.int32)))
    psnr_db = 10 * math.log10(255**2 / mean_square) if mean_square else math.inf
    return ImageDifference(int(difference.max()), min(psnr_db, PSNR_LIMIT_DB), float(np.mean(difference > 0)))


@dataclass(frozen=True)
class GeneratorParity(ImageDifference):
    """A generator's graph beside its network in float64.

    Args:
        largest_batch_difference: of any pixel value, of 255, between a latent alone or in a small batch and the same
            latent in the largest batch.
        images: how many were compared.
        seeds: of their latents.
        batches: sizes they were made in.
    """

    largest_batch_difference: int
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
    run: Callable[[npt.NDArray[np.float32]], Pixels], references: Sequence[Reference], batches: Sequence[int] = BATCHES
) -> GeneratorParity:
    """Run a graph on every reference's first latents in each batch size, and compare with the network's images."""
    wanted, made, batch_differences = [], [], [0]
    for reference in references:
        in_largest = run(reference.latents[: max(batches)])
        for batch in batches:
            images = in_largest if batch == max(batches) else run(reference.latents[:batch])
            wanted.append(reference.pixels[:batch])
            made.append(images)
            batch_differences.append(compare_images(in_largest[:batch], images).largest_difference)
    difference = compare_images(np.concatenate(wanted), np.concatenate(made))
    return GeneratorParity(
        **asdict(difference),
        largest_batch_difference=max(batch_differences),
        images=sum(map(len, made)),
        seeds=tuple(reference.seed for reference in references),
        batches=tuple(batches),
    )


PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # the work of a network: what its precision is about
MARGIN_DB = 5.0  # above the floor: layers of an int8 graph go back to float until it is this good on held-out latents
CALIBRATION_IMAGES, HELD_OUT_IMAGES = 256, 128  # of 64x64 pixels; of larger ones fewer hold as many values
LEAST_SHARE = 4  # but never fewer than a quarter
NOTHING_TO_CHANGE = "the network has no transposed convolution of stride 2"
AT_ONCE = 16  # images: calibration keeps every value inside a graph for a batch


def generator_graphs(
    network: nn.Module,
    latent_dim: int,
    image: ImageInfo,
    choices: Choices,
    observer: Observer,
    progress: Progress,
) -> tuple[Graph, ...]:
    """Export a generator; the first graph is the fp32 reference, and all in fp32 are measured against the network.

    Args:
        network: float32, in eval mode.
        latent_dim: numbers in one latent.
        image: the images' sizes.
        choices: forms and precisions that are wanted.
        observer: told of what stays unfolded, is clipped, looks wrong, or cannot be made.
        progress: told which graph is being made.

    Raises:
        ExportError: the network cannot be traced or gives no images; a `ParityError`: an fp32 graph is over a gate.
    """
    progress("running the network in float64")
    references = [make_reference(network, seed, max(BATCHES), latent_dim) for seed in PARITY_SEEDS]
    for reference in references:
        check_values(reference, observer)
    progress("tracing the network")
    example = torch.from_numpy(references[0].latents[:EXAMPLES])
    traced = build_graph(GeneratorGraph(network), example, generator_signature(latent_dim, image), observer)
    maker = _Maker(references, choices, _feeds(latent_dim, image), observer, progress)
    models = _in_forms(traced, choices.forms, observer)
    graphs = tuple(graph for form, model in models for graph in maker.graphs(form, model))
    for precision in sorted(set(choices.precisions) - {graph.precision for graph in graphs}):
        observer(f"no graph is made in {precision}: the form {', '.join(dict(models))} does not come in it")
    return graphs


def _in_forms(traced: onnx_ir.Model, asked: Sequence[str], observer: Observer) -> Sequence[tuple[str, onnx_ir.Model]]:
    """The graph in every form that is asked for and differs from the network as trained."""
    made = []
    for name, form in FORMS.items():
        if name not in asked:
            continue
        model = traced.clone()
        left = form.change(model) if form.change else ()
        name_plainly(model)
        if form.change and to_file(model) == to_file(traced):
            observer(f"form {name} is left out, the graph would be the same: {'; '.join(left) or NOTHING_TO_CHANGE}")
            continue
        for line in left:
            observer(f"form {name}: {line}")
        made.append((name, model))
    if not made:
        raise ExportError(f"no graph is left in the forms {', '.join(asked)}: export the form deconv")
    return made


class _Maker:
    """Makes the graphs of one form in every precision that is asked for."""

    def __init__(
        self,
        references: Sequence[Reference],
        choices: Choices,
        feeds: Mapping[int, Sequence[Feed]],
        observer: Observer,
        progress: Progress,
    ) -> None:
        self._references, self._choices, self._feeds = references, choices, feeds
        self._observer, self._progress = observer, progress
        self._precisions: Mapping[str, Callable[[str, onnx_ir.Model], Iterator[Graph]]] = {
            "fp32": self._fp32,
            "fp16": self._fp16,
            "int8": self._int8,
        }

    def graphs(self, form: str, model: onnx_ir.Model) -> Iterator[Graph]:
        """All graphs of a form, fp32 first; `model` stays as it is."""
        for precision, make in self._precisions.items():
            if precision in self._choices.precisions:
                yield from make(form, model)

    def _fp32(self, form: str, model: onnx_ir.Model) -> Iterator[Graph]:
        self._progress(f"measuring form {form} in fp32 against the network in float64")
        data = to_file(model)
        parity = measure_generator(GeneratorSession(data), self._references)
        graph = Graph("generator", form, "fp32", data, parity=parity.to_json())
        GENERATOR_GATES[graph.precision].check(graph.id, parity)
        yield graph

    def _fp16(self, form: str, model: onnx_ir.Model) -> Iterator[Graph]:
        if not FORMS[form].half:
            return
        self._progress(f"making form {form} in fp16")
        half = model.clone()
        kept = to_half(half, self._feeds[CALIBRATION_SEED])
        products = [node for node in half.graph if node.op_type in PRODUCTS]
        in_float = [str(each) for each in kept if each.op_type in PRODUCTS]
        if len(in_float) == len(products):
            self._observer(f"form {form} is not made in fp16: {'; '.join(in_float) or 'it has no products'}")
            return
        for line in in_float:
            self._observer(f"form {form} in fp16: {line}")
        reasons = {each.node: each.reason for each in kept}
        details = {"half": {"kept_float32": list(reasons), "reasons": reasons}}
        yield Graph("generator", form, "fp16", to_file(half), details=details)

    def _int8(self, form: str, model: onnx_ir.Model) -> Iterator[Graph]:
        for kind in FORMS[form].int8:
            self._progress(f"quantizing form {form} to int8, {kind}")
            calibration, held_out = self._feeds[CALIBRATION_SEED], self._feeds[HELD_OUT_SEED]
            target_db = min(self._choices.min_psnr + MARGIN_DB, PSNR_LIMIT_DB)
            try:
                made = quantize(model, kind, calibration=calibration, held_out=held_out, target_db=target_db)
            except QuantizeError as error:
                self._observer(f"form {form} is not made in int8: {error}")
                continue
            sources = {
                "calibration_images": _images(calibration),
                "calibration_seed": CALIBRATION_SEED,
                "held_out_images": _images(held_out),
                "held_out_seed": HELD_OUT_SEED,
            }
            details = {"quantization": {**made.to_json(), **sources}}
            yield Graph("generator", form, "int8", to_file(made.model), kind, details=details)


def _feeds(latent_dim: int, image: ImageInfo) -> Mapping[int, Sequence[Feed]]:
    """Inputs for calibration and for choices, by the seed of their latents."""
    wanted = {CALIBRATION_SEED: CALIBRATION_IMAGES, HELD_OUT_SEED: HELD_OUT_IMAGES}
    share = min(1.0, max(1 / LEAST_SHARE, 64 * 64 / (image.height * image.width)))
    return {
        seed: [{"z": latents(seed, start, AT_ONCE, latent_dim)} for start in range(0, round(count * share), AT_ONCE)]
        for seed, count in wanted.items()
    }


def _images(feeds: Sequence[Feed]) -> int:
    return sum(len(feed["z"]) for feed in feeds)


def check_engines(libraries: Sequence[str]) -> None:
    """See that every library can build here, before anything is made for it.

    Raises:
        ExportError: one is not installed, or needs a GPU that is not here.
    """
    for name in libraries:
        load_library(name)


def engines_of(
    graphs: Sequence[Graph], libraries: Sequence[str], observer: Observer, progress: Progress
) -> tuple[BuiltEngine, ...]:
    """Build the engines of a generator's graphs.

    Args:
        graphs: those that are shipped.
        libraries: to build with; none is no error.
        observer: told of every graph that gets no engine.
        progress: told what is being built.

    Raises:
        ExportError: as `build_engines`.
    """
    if not libraries:
        return ()
    fit = [graph for graph in graphs if FORMS[graph.form].engines]
    for graph in graphs:
        if graph not in fit:
            observer(f"no engine of {graph.id}: the form {graph.form} is for CPUs")
    return tuple(build_engines(fit, libraries, observer, progress=progress))


@dataclass(frozen=True)
class GeneratorParts:
    """A generator's part of a bundle.

    Args:
        shipment: graphs within the floor, and their strips.
        engines: built of them.
        shown: the images of `samples.png`, uint8 [n, height, width, channels].
    """

    shipment: Shipment
    engines: tuple[BuiltEngine, ...]
    shown: Pixels


def generator_parts(
    network: nn.Module, latent_dim: int, image: ImageInfo, choices: Choices, observer: Observer, progress: Progress
) -> GeneratorParts:
    """Make, measure and build everything that was chosen; arguments and errors as of `generator_graphs`."""
    graphs = generator_graphs(network, latent_dim, image, choices, observer, progress)
    shown = GeneratorSession(graphs[0].data)(latents(SAMPLES_SEED, 0, SAMPLES, latent_dim))
    shipment = ship(graphs, latent_dim, choices.min_psnr, observer, progress)
    built = engines_of(shipment.graphs, choices.engines, observer, progress)
    return GeneratorParts(shipment, tuple(built), shown)
