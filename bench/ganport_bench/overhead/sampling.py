"""What `generator.sample` takes over the bare session's `run` on latents that are ready.

Both sides run one and the same session. Two of them in one process would measure each other: the threads of
onnxruntime go on spinning for a while after a run, and on few cores they are in the way of the other session's.
"""

from itertools import count
from pathlib import Path

from ganport_runtime import Generator, latents
from ganport_runtime.backends.onnxruntime import OnnxRuntimeSession
from ganport_runtime.buckets import BUCKETS
from ganport_runtime.opening import Running

from ganport_bench.overhead.figure import Figure
from ganport_bench.overhead.opening import bare_session, generator_file
from ganport_bench.timing import Seconds, difference, interleave, median, ratio, stopwatch

LARGE = 64
TARGET_PERCENT_LARGE = 3.0
TARGET_MICROSECONDS_ONE = 60.0
CALLS_ONE = 5


def measure(bundle: Path, rounds_large: int, rounds_one: int) -> list[Figure]:
    """The figures `sample_64`, per cent, and `sample_1` and `sample_1_new_seed`, microseconds."""
    large, one = _taken(bundle, LARGE, rounds_large, calls=1), _taken(bundle, 1, rounds_one, calls=CALLS_ONE)
    what = "generator.sample(1), {}, over the bare session on ready latents"
    return [
        _large(large),
        _one("sample_1", what.format("one image of a seed after another"), one["next_image"], one["bare"]),
        _one("sample_1_new_seed", what.format("a new seed each time"), one["new_seed"], one["bare"]),
    ]


def _taken(bundle: Path, batch: int, rounds: int, calls: int) -> dict[str, Seconds]:
    """Seconds of one call of each system; ganport draws new latents every time, the bare session reuses its own."""
    session = bare_session(generator_file(bundle))
    with Generator.open(bundle, device="cpu") as opened:
        plan, description = opened.plan, opened.bundle
    running = Running(plan, OnnxRuntimeSession(session, plan.provider, plan.device))
    with Generator(description, dict.fromkeys(BUCKETS, running)) as generator:
        ready = {"z": latents(7, 0, batch, generator.latent_dim)}
        starts, seeds = count(step=batch), count(start=8)
        systems = {
            "next_image": stopwatch(lambda: generator.sample(batch, seed=7, start=next(starts)), calls=calls),
            "new_seed": stopwatch(lambda: generator.sample(batch, seed=next(seeds)), calls=calls),
            "bare": stopwatch(lambda: session.run(["image"], ready), calls=calls),
        }
        return interleave(systems, rounds=rounds, warmup=3)


def _large(seconds: dict[str, Seconds]) -> Figure:
    ganport, bare = seconds["next_image"], seconds["bare"]
    return Figure(
        name="sample_64",
        title="generator.sample(64), over the bare session on ready latents",
        unit="%",
        estimate=ratio(ganport, bare).scaled(100, -100),
        target=TARGET_PERCENT_LARGE,
        details={
            "ganport_ms": round(median(ganport).value * 1e3, 2),
            "bare_ms": round(median(bare).value * 1e3, 2),
            "ganport_images_per_second": round(LARGE / median(ganport).value, 1),
        },
    )


def _one(name: str, title: str, ganport: Seconds, bare: Seconds) -> Figure:
    return Figure(
        name=name,
        title=title,
        unit="us",
        estimate=difference(ganport, bare).scaled(1e6),
        target=TARGET_MICROSECONDS_ONE,
        details={"ganport_us": round(median(ganport).value * 1e6, 1), "bare_us": round(median(bare).value * 1e6, 1)},
    )
