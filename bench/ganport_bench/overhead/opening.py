"""What opening a bundle takes over creating the same onnxruntime session by hand."""

from pathlib import Path
from typing import Any

from ganport_runtime import Generator

from ganport_bench.overhead.figure import Figure
from ganport_bench.timing import interleave, median, ratio, stopwatch

TARGET_RATIO = 1.2


def measure(bundle: Path, rounds: int) -> Figure:
    """The figure `open`: `Generator.open` on the CPU over `InferenceSession` on the same file."""
    file = generator_file(bundle)
    systems = {
        "ganport": stopwatch(lambda: Generator.open(bundle, device="cpu").close()),
        "bare": stopwatch(lambda: bare_session(file)),
    }
    seconds = interleave(systems, rounds=rounds, warmup=2)
    details = {f"{name}_ms": round(median(taken).value * 1e3, 2) for name, taken in seconds.items()}
    return Figure(
        name="open",
        title="opening a bundle, over the same onnxruntime session by hand",
        unit="x",
        estimate=ratio(seconds["ganport"], seconds["bare"]),
        target=TARGET_RATIO,
        details={**details, "model_bytes": file.stat().st_size},
    )


def generator_file(bundle: Path) -> Path:
    """The ONNX file that the runtime chooses on the CPU of this machine."""
    with Generator.open(bundle, device="cpu") as generator:
        variants = {variant.id: variant for variant in generator.bundle.manifest.variants}
        return bundle / variants[generator.plan.variant].file


def bare_session(file: Path) -> Any:
    """An onnxruntime session as one would write it, with no word to any option."""
    import onnxruntime  # type: ignore[import-untyped]

    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
