"""What a builder is told: precision of float32, the kernels' timing cache, and one profile a bucket."""

from typing import Any

from ganport_runtime.buckets import BUCKETS

from ganport_export.engines.libraries import Library

__all__ = ["add_profiles", "configure"]


def configure(config: Any, library: Library, *, tf32: bool, timing_cache: list[Any]) -> None:
    """Set everything but the target and the profiles.

    Args:
        config: the builder's configuration.
        library: which library.
        tf32: whether float32 products may be rounded to TF32, which has fp16's precision and is on otherwise.
        timing_cache: empty before the first engine of a builder, and the cache that all of them share after it.
    """
    config.profiling_verbosity = library.module.ProfilingVerbosity.DETAILED  # or the inspector tells names alone
    if not tf32:
        config.clear_flag(library.module.BuilderFlag.TF32)
    if library.builds_ahead:  # TensorRT-RTX times no kernels: it compiles them where the engine runs
        return
    if not timing_cache:
        timing_cache.append(config.create_timing_cache(b""))
    config.set_timing_cache(timing_cache[0], ignore_mismatch=False)


def add_profiles(config: Any, builder: Any, network: Any) -> tuple[dict[str, Any], ...]:
    """Add one profile a bucket, for that batch alone, as the runtime runs no other; the records of them.

    With a fixed batch every kernel is chosen for it, no shape is computed while it runs, and a CUDA graph can hold the
    run. Weights are shared: seven profiles made the engine of a 64x64 generator an eighth larger than one.
    """
    tensor = network.get_input(0)
    records = []
    for bucket in BUCKETS:
        shape = [bucket, *tuple(tensor.shape)[1:]]
        profile = builder.create_optimization_profile()
        profile.set_shape(tensor.name, shape, shape, shape)
        config.add_optimization_profile(profile)
        records.append({"bucket": bucket, "min": shape, "opt": shape, "max": shape})
    return tuple(records)
