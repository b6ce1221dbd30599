"""Training, from settings and images to a run directory: one loop, resumable at every checkpoint, bit for bit."""

import contextlib
import io
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from ganport_runtime import atomic
from torch import Tensor

from ganport_train import checkpoints, ema, run_directory
from ganport_train.checkpoints import SCORE, CheckpointState
from ganport_train.config import TrainingConfig
from ganport_train.data import ImageSet
from ganport_train.errors import ConfigError, DivergedError
from ganport_train.evaluation import FrechetDistance
from ganport_train.grid import grid
from ganport_train.metrics import MetricsLog
from ganport_train.networks import DcganGenerator, generate
from ganport_train.observer import Observer
from ganport_train.randomness import draw_latents, random_source
from ganport_train.step import TrainingState, initial_state, training_batch, training_step

SAMPLES = 64  # images of a grid
CALIBRATION_BATCHES, CALIBRATION_BATCH = 16, 64
EVALUATION_IMAGES = 1024
# PyTorch has no exception of its own for this on a CPU: the allocator's refusal, and sizes beyond 64 bits.
TOO_LARGE = re.compile(r"allocate memory|out of memory|overflow", re.IGNORECASE)


@dataclass(frozen=True)
class TrainingResult:
    """What a call of `train` left behind."""

    run: Path
    step: int
    interrupted: bool  # stopped by the observer before the last step
    scores: Mapping[str, float]  # of the last checkpoint
    best: str  # name of the best checkpoint's folder
    seconds_training: float  # of this call; 0 where the run was complete already


def train(
    config: TrainingConfig, out: Path, *, resume: bool = False, observer: Observer | None = None
) -> TrainingResult:
    """Train until `config.steps` and leave a run directory.

    `out` is new or empty, or with `resume` a run that goes on from its last checkpoint as if it had never stopped.
    Raises `ConfigError` or `DataError` before anything is written, `CheckpointError` where `out` holds another run or a
    damaged one, and `DivergedError` where a loss or weight is no longer finite; earlier checkpoints are kept.
    """
    observer = observer or Observer()
    config, images = run_directory.prepare(config, out, resume=resume)
    begun = time.perf_counter()
    with cpu_threads(config.threads):
        with _enough_memory(config):  # before `out` exists: networks that are too large leave nothing behind
            state = initial_state(config)
        with run_directory.claim(out), _abandoned_without_a_step(config, out, state, resume=resume):
            scores = _open_run(config, out, images, state, observer, resume=resume)
            first, interrupted = state.step, False
            if first < config.steps:
                scores, interrupted = _Run(config, out, images, state, observer).go_on()
    seconds = time.perf_counter() - begun if state.step > first else 0.0
    return TrainingResult(out, state.step, interrupted, scores, (out / "best").resolve().name, seconds)


class _Run:
    """One process's part of a run."""

    def __init__(
        self, config: TrainingConfig, out: Path, images: ImageSet, state: TrainingState, observer: Observer
    ) -> None:
        self.config, self.out, self.state, self.observer = config, out, state, observer
        self.data_digest = images.digest
        self.pixels = torch.from_numpy(images.images).permute(0, 3, 1, 2)  # seen as NCHW, laid out as NHWC
        chosen = torch.randperm(len(images), generator=random_source(config.seed, "evaluation"))[:EVALUATION_IMAGES]
        self.distance = FrechetDistance(self.pixels[chosen])
        self.scores: Mapping[str, float] = {}

    def go_on(self) -> tuple[Mapping[str, float], bool]:
        """Train from the state's step to the last; returns the last scores and whether the observer stopped it."""
        config, state = self.config, self.state
        with contextlib.closing(MetricsLog(self.out, state.step, config.batch_size)) as log, self._advice():
            if not log.has_events:
                self.observer.noted("no TensorBoard event files: pip install tensorboard to have them")
            stop = False
            while state.step < config.steps and not stop:
                log.add(training_step(state, *training_batch(self.pixels, config, state.step + 1), config))
                stop = self.observer.should_stop()
                is_last = stop or state.step == config.steps
                samples_due = is_last or state.step % config.sample_every == 0
                checkpoint_due = is_last or state.step % config.checkpoint_every == 0
                if samples_due or checkpoint_due or log.is_due():
                    self.observer.stepped(log.flush())
                if samples_due or checkpoint_due:
                    averaged = ema.calibrate(state.averaged, map(self._latents, range(CALIBRATION_BATCHES)))
                    checkpoints.check_finite(state)
                    if samples_due:
                        self._save_samples(averaged)
                    if checkpoint_due:
                        self._save_checkpoint(averaged, log)
                    log.restart_clock()
        return self.scores, state.step < config.steps

    def _latents(self, index: int) -> Tensor:
        return draw_latents(self.config.seed, "calibration", index, CALIBRATION_BATCH, self.config.latent_dim)

    def _save_samples(self, averaged: DcganGenerator) -> None:
        latents = draw_latents(self.config.seed, "samples", 0, SAMPLES, self.config.latent_dim)
        content = io.BytesIO()
        grid(generate(averaged, latents).permute(0, 2, 3, 1).numpy()).save(content, "png")
        atomic.write_bytes(self.out / "samples" / f"step-{self.state.step:06d}.png", content.getvalue())

    def _save_checkpoint(self, averaged: DcganGenerator, log: MetricsLog) -> None:
        count = min(EVALUATION_IMAGES, len(self.pixels))
        latents = draw_latents(self.config.seed, "evaluation", 0, count, self.config.latent_dim)
        self.scores = {SCORE: round(self.distance(generate(averaged, latents)), 4)}
        log.write({"step": self.state.step, **self.scores})
        log.sync()
        described = CheckpointState(
            self.state.step, self.scores, self.config.digest(), self.data_digest, {"torch": torch.__version__}
        )
        self.observer.saved(checkpoints.save(self.out, self.state, described), self.scores)

    @contextlib.contextmanager
    def _advice(self) -> Iterator[None]:
        """Add to the error what to try and which checkpoints are kept."""
        try:
            yield
        except DivergedError as error:
            kept = checkpoints.whole(self.out)
            left = f"checkpoints up to {kept[-1].name} are kept" if kept else "there was no checkpoint yet"
            penalty = f"a --penalty below {self.config.penalty:g}, "
            raise DivergedError(
                f"{error}, so training stopped; {left}. Try a new run with "
                f"{penalty if self.config.penalty > TrainingConfig.penalty else ''}a --learning-rate below "
                f"{self.config.learning_rate:g}, a larger --batch-size, or --preset rpgan if this was another"
            ) from None


@contextlib.contextmanager
def _enough_memory(config: TrainingConfig) -> Iterator[None]:
    """Turn an out-of-memory error in the block into a `ConfigError` that names the settings which decide on it."""
    try:
        yield
    except (MemoryError, RuntimeError, TypeError, OverflowError) as error:
        if not isinstance(error, MemoryError) and not TOO_LARGE.search(str(error)):
            raise
        raise ConfigError(
            f"--width {config.width}, --latent-dim {config.latent_dim}, --resolution {config.resolution} and "
            f"--batch-size {config.batch_size} need more memory than this machine gives: lower one of them"
        ) from None


@contextlib.contextmanager
def _abandoned_without_a_step(
    config: TrainingConfig, out: Path, state: TrainingState, *, resume: bool
) -> Iterator[None]:
    """A new run whose first step asks for too much memory leaves nothing behind."""
    try:
        with _enough_memory(config):
            yield
    except ConfigError:
        if not resume and state.step == 0:
            run_directory.abandon(out)
        raise


def _open_run(
    config: TrainingConfig, out: Path, images: ImageSet, state: TrainingState, observer: Observer, *, resume: bool
) -> Mapping[str, float]:
    """Bring `state` to where the run goes on from; returns the scores it was saved with."""
    scores: Mapping[str, float] = {}
    if resume:
        folder = run_directory.last_checkpoint(out, config, images.digest)
        if folder is None:
            observer.noted("no checkpoint had been saved yet: training begins at step 0")
        else:
            scores = checkpoints.restore(folder, state).scores
        run_directory.make_ready(out, config)
    else:
        run_directory.start(out, config)
    for sentence in images.notes:
        observer.noted(sentence)
    observer.started(config, images, state.step)
    return scores


@contextlib.contextmanager
def cpu_threads(threads: int | None) -> Iterator[None]:
    """Let PyTorch use this many CPU threads (None: as many as it does), and put it back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
