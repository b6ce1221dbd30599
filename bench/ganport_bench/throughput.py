"""Images per second of a run's generator, in PyTorch and as its bundle is run, side by side in one go."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ganport_bench.timing import Estimate, Seconds, interleave, median, ratio, turns_of

BATCHES = (1, 8, 64)
SECONDS_A_TURN = 0.05  # a system's turn lasts about this long: far above the clock's own cost
PAUSE_SECONDS = 0.03  # before a turn: PyTorch's threads spin for a while after their work
PEER = "PyTorch, eager"
OURS = "ganport"

Draw = Callable[[int], object]  # makes that many images


@dataclass(frozen=True)
class Throughput:
    """One system at one batch size.

    Attributes:
        system: its name.
        batch: images a call.
        images_per_second: median over rounds with its 95 % interval.
        speedup: times as fast as PyTorch in the same rounds, with its 95 % interval.
    """

    system: str
    batch: int
    images_per_second: Estimate
    speedup: Estimate


def compare(run: Path, bundle: Path, *, rounds: int = 15, batches: Sequence[int] = BATCHES) -> list[Throughput]:
    """Measure the run's generator in PyTorch and the bundle made of it, on this machine.

    Both draw their own latents in every call and end with finished pixels, uint8 in the computer's memory; both take
    as many threads as they choose.

    Args:
        run: a run directory.
        bundle: a bundle exported from it.
        rounds: turns of every system at every batch size.
        batches: images a call.
    """
    from ganport_runtime import Generator

    with Generator.open(bundle) as generator:
        draws: dict[str, Draw] = {PEER: _pytorch(run), OURS: generator.sample}
        return [row for batch in batches for row in _compare_at(draws, batch, rounds)]


def _pytorch(run: Path) -> Draw:
    import torch
    from ganport_export.trace import GeneratorGraph
    from ganport_train.checkpoints import load_networks

    networks = load_networks(run)
    pixels = GeneratorGraph(networks.generator)

    @torch.inference_mode()
    def draw(count: int) -> object:
        return pixels(torch.randn(count, networks.config.latent_dim)).numpy()

    return draw


def _compare_at(draws: Mapping[str, Draw], batch: int, rounds: int) -> list[Throughput]:
    systems = {name: turns_of(partial(draw, batch), SECONDS_A_TURN) for name, draw in draws.items()}
    seconds = interleave(systems, rounds=rounds, pause=PAUSE_SECONDS)
    return [_row(name, batch, taken, seconds[PEER]) for name, taken in seconds.items()]


def _row(name: str, batch: int, taken: Seconds, peer: Seconds) -> Throughput:
    speed, speedup = batch / taken, ratio(peer, taken)
    return Throughput(name, batch, median(speed), speedup)
