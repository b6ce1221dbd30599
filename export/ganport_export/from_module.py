"""From a user's own generator, any `nn.Module`, to a bundle."""

from pathlib import Path

from ganport_runtime.latents import latents
from ganport_runtime.manifest import GeneratorInfo, LatentInfo, Manifest

from ganport_export.assemble import SAMPLES, SAMPLES_SEED, assemble
from ganport_export.bundle_writer import Destination
from ganport_export.factory import load_module
from ganport_export.module_checks import check_module
from ganport_export.observer import Observer, log
from ganport_export.session import GeneratorSession
from ganport_export.variants import FORMS, PRECISIONS, check_choices, generator_graph

__all__ = ["export_module"]


def export_module(
    factory: str,
    *,
    weights: Path,
    latent_dim: int,
    image_size: int,
    out: Path,
    forms: tuple[str, ...] = FORMS,
    precisions: tuple[str, ...] = PRECISIONS,
    name: str | None = None,
    overwrite: bool = False,
    observer: Observer = log,
) -> Manifest:
    """Export a generator that takes latents float32 [n, latent_dim] and returns images in [-1, 1] NCHW.

    It goes through the same gates as ganport's own. The bundle has no discriminator.

    Args:
        factory: `package.module:name` on `sys.path`: a callable without arguments that returns the module.
        weights: a safetensors file with all of its tensors.
        latent_dim: numbers in one latent, drawn from N(0, 1).
        image_size: height and width of its images in pixels.
        out: the bundle's directory, which appears whole or not at all.
        forms: graph forms: `deconv`, the network as it is.
        precisions: `fp32`.
        name: what the bundle is called; None: its directory's name without `.ganport`.
        overwrite: whether a bundle that is there may be replaced.
        observer: told in one line of everything that the user should know and that is no error.

    Raises:
        ModuleError: the module cannot be made, filled or run, or what it returns are no images.
        TraceError: PyTorch cannot write it as ONNX for any batch size.
        ParityError: the graph is over its gate; nothing is written.
        ExportError: anything else that keeps the bundle from being made.
    """
    check_choices(forms, precisions)
    destination = Destination(out, name, overwrite)
    module = load_module(factory, weights)
    image = check_module(module, latent_dim, image_size)
    graph = generator_graph(module, latent_dim, image, observer)
    shown = GeneratorSession(graph.data)(latents(SAMPLES_SEED, 0, SAMPLES, latent_dim))
    return assemble(
        destination,
        (graph,),
        shown,
        training={},
        generator=GeneratorInfo(LatentInfo(latent_dim), image),
        discriminator=None,
        observer=observer,
    )
