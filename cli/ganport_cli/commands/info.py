"""`ganport info`: what a bundle holds, and whether every file in it is the one that was written."""

from typing import TYPE_CHECKING, Any

from ganport_cli.plan_options import BundleArgument
from ganport_cli.terminal import Json, console, print_json, table

if TYPE_CHECKING:
    from ganport_runtime import Bundle
    from ganport_runtime.entries import Engine, Variant
    from ganport_runtime.manifest import Manifest


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
            {"id": entry.id, "file": entry.file, "bytes": _size(opened, entry), "problem": problems[entry.id]}
            for entry in opened.files
        ]
        document = {"bundle": str(opened.path), "digest": opened.digest, "manifest": opened.manifest.to_json()}
        print_json(document | {"files": files, "verified": not any(problems.values())})
    failed = [problem for problem in problems.values() if problem]
    if failed:
        raise BundleError("; ".join(failed))


def _problem(bundle: "Bundle", entry: "Variant | Engine") -> str | None:
    """What is wrong with an entry's file, or None."""
    from ganport_runtime import BundleError

    try:
        bundle.read(entry)
    except BundleError as error:
        return str(error)
    return None


def _size(bundle: "Bundle", entry: "Variant | Engine") -> int:
    return (bundle.path / entry.file).stat().st_size


def _show(bundle: "Bundle", problems: dict[str, str | None]) -> None:
    """Print the manifest as people read it."""
    screen = console()
    screen.print("\n".join(_summary(bundle.manifest)), markup=False, soft_wrap=True)
    columns: tuple[str, ...] = ("variant", "role", "form", "precision", "MB", "parity", "digest")
    variants = [(*_cells(bundle, entry), _verdict(problems[entry.id])) for entry in bundle.manifest.variants]
    screen.print(table("Variants", columns, variants))
    if bundle.manifest.engines:
        columns = ("engine", "variant", "library", "compute capabilities", "digest")
        engines = [(*_engine_cells(engine), _verdict(problems[engine.id])) for engine in bundle.manifest.engines]
        screen.print(table("Engines", columns, engines))


def _cells(bundle: "Bundle", variant: "Variant") -> tuple[str, ...]:
    megabytes = f"{_size(bundle, variant) / 1e6:.1f}"
    return variant.id, variant.role, variant.form, variant.precision, megabytes, _figures(variant.parity)


def _engine_cells(engine: "Engine") -> tuple[str, ...]:
    library = f"{engine.library} {engine.library_version}"
    return engine.id, engine.variant, library, ", ".join(engine.compute_capabilities)


def _summary(manifest: "Manifest") -> list[str]:
    latent, image = manifest.generator.latent, manifest.generator.image
    lines = [
        f"{manifest.name}, created {manifest.created}",
        f"generator: {latent.dim} numbers ({latent.distribution}) to images {_size_of(image.shape)}",
    ]
    if manifest.discriminator is None:
        lines.append("discriminator: none")
    else:
        features, shape = manifest.discriminator.features, manifest.discriminator.image.shape
        lines.append(f"discriminator: images {_size_of(shape)} to {features.dim} features ({features.pooling})")
    plain = {key: value for key, value in manifest.training.items() if isinstance(value, str | int | float)}
    if plain:
        lines.append(f"training: {_figures(plain)}")
    lines.append(f"made with: {', '.join(f'{package} {version}' for package, version in manifest.toolchain.items())}")
    return lines


def _size_of(shape: tuple[int, int, int]) -> str:
    height, width, channels = shape
    return f"{height} x {width} x {channels}"


def _figures(values: Any) -> str:
    """Plain figures as text, fractions to four digits."""
    shown = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}
    return ", ".join(f"{key} {value}" for key, value in shown.items() if not isinstance(value, dict | list))


def _verdict(problem: str | None) -> str:
    return "ok" if problem is None else "FAILED"
