"""Finds the ways that are measured: a bundle untuned, by each backend, tuned, and bare sessions on the same files."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ganport_runtime import Bundle, Generator, Plan, PlanError
from ganport_runtime.backends import BACKENDS, load_backend
from ganport_runtime.plan import AUTO

from ganport_bench.errors import BenchError
from ganport_bench.own_cache import own_cache
from ganport_bench.start.record import remember
from ganport_bench.start.way import Way

__all__ = ["OnMissing", "ways_of"]

UNTUNED, TUNED = "ganport", "ganport, tuned"
BARE = {  # what runs a graph in a few lines by hand, and how that is written
    "onnxruntime": ("bare ONNX Runtime", "no option set"),
    "openvino": ("bare OpenVINO", "float32 asked for, batch size left open"),
}

OnMissing = Callable[[str, str], None]  # told who cannot be measured, and why


def ways_of(bundle: Bundle, folder: Path, tuning_seconds: float, on_missing: OnMissing) -> tuple[Way, ...]:
    """Every way that this machine offers.

    Args:
        bundle: whose generator.
        folder: for cache folders.
        tuning_seconds: for tuning, where the caller's cache has no record of this bundle and machine.
        on_missing: told of every way that there is not.

    Raises:
        BundleError: the bundle is altered.
        PlanError: nothing here can run it.
    """
    untuned, plans = _opened(bundle, UNTUNED, folder / "untuned")
    found = {_key(plans): (untuned, plans)}
    for backend in BACKENDS:
        for device in load_backend(backend).devices:
            name = f"{UNTUNED}, {backend}" + ("" if device == "cpu" else f" on {device}")
            try:
                way, plans = _by_backend(bundle, name, folder / f"{backend}-{device}", backend, device)
                found.setdefault(_key(plans), (way, plans))
            except PlanError as error:
                on_missing(name, str(error))
    pairs = [(way, _bare(bundle, plans)) for way, plans in found.values()]
    ours = [replace(way, peer=bare.name if bare else "") for way, bare in pairs]
    bare = {one.name: one for _, one in pairs if one}
    return (*ours, *_tuned(bundle, folder / "tuned", tuning_seconds, on_missing), *bare.values())


def _by_backend(bundle: Bundle, name: str, cache: Path, backend: str, device: str) -> tuple[Way, Mapping[int, Plan]]:
    lack = load_backend(backend).refusal(device)
    if lack is not None:  # shorter than what opening says
        raise PlanError(lack)
    return _opened(bundle, name, cache, backend=backend, device=device)


def _tuned(bundle: Bundle, cache: Path, seconds: float, on_missing: OnMissing) -> Iterator[Way]:
    try:
        remember(bundle, cache, seconds)
        way, plans = _opened(bundle, TUNED, cache)
        untuned = next((plan.note for plan in plans.values() if not plan.tuned), None)
        if untuned is not None:
            raise BenchError(untuned)
        yield way
    except (BenchError, PlanError, OSError) as error:
        on_missing(TUNED, str(error))


def _opened(
    bundle: Bundle, name: str, cache: Path, backend: str = AUTO, device: str = AUTO
) -> tuple[Way, Mapping[int, Plan]]:
    """A way that was seen to work, and the plans that it takes."""
    with own_cache(cache), Generator.open(bundle.path, backend=backend, device=device) as generator:
        plans = generator.plans
    runs = tuple(dict.fromkeys(_words(plan) for plan in plans.values()))
    backends = ",".join(dict.fromkeys(plan.backend for plan in plans.values()))
    words = (str(bundle.path), backends, f"backend={backend}", f"device={device}")
    return Way(name, "ganport", runs, "generator", words, cache), plans


def _bare(bundle: Bundle, plans: Mapping[int, Plan]) -> Way | None:
    """A session by hand on the file that an untuned way opens; None where that is no graph."""
    plan = next(iter(plans.values()))  # one for all batch sizes, as nothing was tuned
    if plan.engine is not None or plan.backend not in BARE:
        return None
    name, how = BARE[plan.backend]
    name += "" if plan.device == "cpu" else f" on {plan.device}"
    file = next(one.file for one in bundle.manifest.variants if one.id == plan.variant)
    words = (str(bundle.path / file), str(bundle.manifest.generator.latent.dim))
    more = (plan.provider,) if plan.backend == "onnxruntime" else ()
    runs = (f"{file} by {plan.backend}, {plan.provider}, {how}",)
    return Way(name, "bare", runs, plan.backend, (*words, *more))


def _words(plan: Plan) -> str:
    options = "".join(f", {key} {value}" for key, value in plan.options.items())
    return f"{plan.engine or plan.variant} by {plan.backend}, {plan.provider}{options}"


def _key(plans: Mapping[int, Plan]) -> tuple[str, ...]:
    """What makes two ways the same."""
    return tuple(_words(plan) for plan in plans.values())
