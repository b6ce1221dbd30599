"""`ganport info`: what a bundle holds, and whether every file in it is the one that was written."""

from typing import TYPE_CHECKING, Any

from ganport_cli.plan_options import BundleArgument
from ganport_cli.terminal import Json, console, print_json, say, table

if TYPE_CHECKING:
    from ganport_runtime import Bundle
    from ganport_runtime.manifest import CompiledEngine, Entry, Manifest, Probe, Variant


def info(bundle: BundleArgument, json: Json = False) -> None:
    """Show what a bundle holds and check the digest of every file in it; exit 1 if one fails.

    Example: ganport info emoji.ganport
    """
    from ganport_runtime import Bundle, BundleError

    opened = Bundle.open(bundle)
    problems = {entry.id: _problem(opened, entry) for entry in opened.files}
    _show(opened, problems)
    if json:
        files = [
            {"id": one.id, "file": one.file, "bytes": _size(opened, one), "problem": problems[one.id]}
            for one in opened.files
        ]
        document = {"bundle": str(opened.path), "digest": opened.digest, "manifest": opened.manifest.to_json()}
        print_json(document | {"files": files, "verified": not any(problems.values())})
    failed = [problem for problem in problems.values() if problem]
    if failed:
        raise BundleError("; ".join(failed))


def _problem(bundle: "Bundle", entry: "Entry | Probe") -> str | None:
    from ganport_runtime import BundleError

    try:
        bundle.read(entry)
    except BundleError as error:
        return str(error)
    return None


def _size(bundle: "Bundle", entry: "Entry | Probe") -> int:
    return (bundle.path / entry.file).stat().st_size


def _show(bundle: "Bundle", problems: dict[str, str | None]) -> None:
    screen = console()
    say("\n".join(_summary(bundle.manifest, problems)))
    columns: tuple[str, ...] = ("variant", "role", "form", "precision", "MB", "parity", "fidelity", "digest")
    variants = [(*_cells(bundle, entry), _verdict(problems[entry.id])) for entry in bundle.manifest.variants]
    screen.print(table("Variants", columns, variants))
    if bundle.manifest.engines:
        columns = ("engine", "precision", "library", "platform", "compute capabilities", "MB", "runs here", "digest")
        engines = [(*_engine_cells(bundle, one), _verdict(problems[one.id])) for one in bundle.manifest.engines]
        screen.print(table("Engines", columns, engines))


def _cells(bundle: "Bundle", variant: "Variant") -> tuple[str, ...]:
    megabytes = f"{_size(bundle, variant) / 1e6:.1f}"
    parity, fidelity = _figures(variant.parity), _fidelity(variant)
    return variant.id, variant.role, variant.form, variant.precision, megabytes, parity, fidelity


def _fidelity(variant: "Variant") -> str:
    figures = variant.fidelity
    if not figures:
        return ""
    if figures.get("reference") == variant.id:
        return "the reference"
    return f"PSNR {figures['psnr_db_mean']:.1f} dB, worst {figures['psnr_db_worst']:.1f} dB"


def _engine_cells(bundle: "Bundle", engine: "CompiledEngine") -> tuple[str, ...]:
    from ganport_runtime.backends import BACKENDS, load_backend

    library = f"{engine.library} {engine.library_version}"
    platform, megabytes = str(engine.details.get("platform", "")), f"{_size(bundle, engine) / 1e6:.1f}"
    backends = [backend for backend in map(load_backend, BACKENDS) if engine.library in backend.engine_libraries]
    refusals = [backend.entry_refusal(engine, backend.devices[0]) for backend in backends]
    here = "yes" if None in refusals else "; ".join(filter(None, refusals)) or f"no backend runs {engine.library}"
    return engine.id, engine.precision, library, platform, ", ".join(engine.compute_capabilities), megabytes, here


def _summary(manifest: "Manifest", problems: dict[str, str | None]) -> list[str]:
    latent, image = manifest.generator.latent, manifest.generator.image
    lines = [
        f"{manifest.name}, created {manifest.created}",
        f"generator: {latent.dim} numbers ({latent.distribution}) to images {' x '.join(map(str, image.shape))}",
    ]
    if manifest.discriminator is None:
        lines.append("discriminator: none")
    else:
        features, shape = manifest.discriminator.features, " x ".join(map(str, manifest.discriminator.image.shape))
        lines.append(f"discriminator: images {shape} to {features.dim} features ({features.pooling})")
    probe = manifest.probe
    lines.append("probe: none" if probe is None else f"probe: {probe.images} images, {_verdict(problems[probe.id])}")
    plain = {key: value for key, value in manifest.training.items() if isinstance(value, str | int | float)}
    if plain:
        lines.append(f"training: {_figures(plain)}")
    lines.append(f"made with: {', '.join(f'{package} {version}' for package, version in manifest.toolchain.items())}")
    return lines


def _figures(values: Any) -> str:
    shown = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}
    return ", ".join(f"{key} {value}" for key, value in shown.items() if not isinstance(value, dict | list))


def _verdict(problem: str | None) -> str:
    return "ok" if problem is None else "FAILED"
