"""Makes a generator's graphs in every form and precision that is asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import onnx_ir
import torch
from ganport_runtime.differences import PSNR_LIMIT_DB
from ganport_runtime.latents import latents
from ganport_runtime.manifest import ImageInfo
from torch import nn

from ganport_export import passes, seeds
from ganport_export.choices import Choices
from ganport_export.errors import ExportError, QuantizeError
from ganport_export.forms import FORMS
from ganport_export.generator_parity import BATCHES, GENERATOR_GATES, measure_generator
from ganport_export.graph import EXAMPLES, build_graph, to_file
from ganport_export.observer import Observer, Progress
from ganport_export.onnx_session import Feed
from ganport_export.quantize import quantize
from ganport_export.reference import Reference, make_reference
from ganport_export.session import GeneratorSession
from ganport_export.signature import generator_signature
from ganport_export.value_checks import check_values
from ganport_export.variants import Graph
from ganport_export.wrap import GeneratorGraph

__all__ = ["generator_graphs"]

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
    references = [make_reference(network, seed, max(BATCHES), latent_dim) for seed in seeds.PARITY]
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
        passes.name_plainly(model)
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
        kept = passes.to_half(half, self._feeds[seeds.CALIBRATION])
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
            calibration, held_out = self._feeds[seeds.CALIBRATION], self._feeds[seeds.HELD_OUT]
            target_db = min(self._choices.min_psnr + MARGIN_DB, PSNR_LIMIT_DB)
            try:
                made = quantize(model, kind, calibration=calibration, held_out=held_out, target_db=target_db)
            except QuantizeError as error:
                self._observer(f"form {form} is not made in int8: {error}")
                continue
            sources = {
                "calibration_images": _images(calibration),
                "calibration_seed": seeds.CALIBRATION,
                "held_out_images": _images(held_out),
                "held_out_seed": seeds.HELD_OUT,
            }
            details = {"quantization": {**made.to_json(), **sources}}
            yield Graph("generator", form, "int8", to_file(made.model), kind, details=details)


def _feeds(latent_dim: int, image: ImageInfo) -> Mapping[int, Sequence[Feed]]:
    """Inputs for calibration and for choices, by the seed of their latents."""
    wanted = {seeds.CALIBRATION: CALIBRATION_IMAGES, seeds.HELD_OUT: HELD_OUT_IMAGES}
    share = min(1.0, max(1 / LEAST_SHARE, 64 * 64 / (image.height * image.width)))
    return {
        seed: [{"z": latents(seed, start, AT_ONCE, latent_dim)} for start in range(0, round(count * share), AT_ONCE)]
        for seed, count in wanted.items()
    }


def _images(feeds: Sequence[Feed]) -> int:
    return sum(len(feed["z"]) for feed in feeds)
