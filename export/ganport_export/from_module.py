"""From a user's own generator, any `nn.Module`, to a bundle."""

from pathlib import Path

from ganport_runtime.manifest import GeneratorInfo, LatentInfo, Manifest

from ganport_export.assemble import Contents, assemble
from ganport_export.bundle_writer import Destination
from ganport_export.choices import DEFAULT_MIN_PSNR_DB, FORMS, PRECISIONS, Choices
from ganport_export.engine_choice import check_engines
from ganport_export.factory import load_module
from ganport_export.generator_parts import generator_parts
from ganport_export.module_checks import check_module
from ganport_export.observer import Observer, Progress, log, quiet
from ganport_export.probe import make_probe

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
    min_psnr: float = DEFAULT_MIN_PSNR_DB,
    engines: tuple[str, ...] = (),
    name: str | None = None,
    overwrite: bool = False,
    observer: Observer = log,
    progress: Progress = quiet,
) -> Manifest:
    """Export a generator that takes latents float32 [n, latent_dim] and returns images in [-1, 1] NCHW.

    It goes through the same gates as ganport's own. The bundle has no discriminator.

    Args:
        factory: `package.module:name` on `sys.path`: a callable without arguments that returns the module.
        weights: a safetensors file with all of its tensors.
        latent_dim: numbers in one latent, drawn from N(0, 1).
        image_size: height and width of its images in pixels.
        out: the bundle's directory, which appears whole or not at all.
        forms: graph forms: `deconv`, the network as it is, `phase`, `fused`; those that change nothing are left out.
        precisions: `fp32`, which is always wanted, `fp16`, `int8`.
        min_psnr: the lowest mean PSNR in dB against fp32 with which a variant goes into the bundle.
        engines: libraries to build engines with: `tensorrt-rtx`, `tensorrt`.
        name: what the bundle is called; None: its directory's name without `.ganport`.
        overwrite: whether a bundle that is there may be replaced.
        observer: told in one line of everything that the user should know and that is no error.
        progress: told what is being done.

    Raises:
        ModuleError: the module cannot be made, filled or run, or what it returns are no images.
        TraceError: PyTorch cannot write it as ONNX for any batch size.
        ParityError: an fp32 graph is over its gate; nothing is written.
        ExportError: anything else that keeps the bundle from being made.
    """
    choices = Choices(forms, precisions, min_psnr, engines)
    destination = Destination(out, name, overwrite)
    check_engines(choices.engines)
    module = load_module(factory, weights)
    image = check_module(module, latent_dim, image_size)
    parts = generator_parts(module, latent_dim, image, choices, observer, progress)
    shipment, probe = parts.shipment, make_probe(module, latent_dim)
    return assemble(
        destination,
        Contents(shipment.graphs, parts.engines, probe, shipment.strips, parts.shown),
        training={},
        generator=GeneratorInfo(LatentInfo(latent_dim), image),
        discriminator=None,
        observer=observer,
    )
