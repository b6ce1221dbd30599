"""Settings that ask for more memory than there is end in one line, not in PyTorch's own words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ganport_train.config import TrainingConfig
from ganport_train.errors import ConfigError

# PyTorch has no exception of its own for this on a CPU: the allocator's refusal, and sizes beyond 64 bits.
TOO_LARGE = re.compile(r"allocate memory|out of memory|overflow", re.IGNORECASE)


@contextmanager
def enough_memory(config: TrainingConfig) -> Iterator[None]:
    """Turn a refusal of memory within into a `ConfigError` that names the settings which decide on it."""
    try:
        yield
    except (MemoryError, RuntimeError, TypeError, OverflowError) as error:
        if not isinstance(error, MemoryError) and not TOO_LARGE.search(str(error)):
            raise
        raise ConfigError(
            f"--width {config.width}, --latent-dim {config.latent_dim}, --resolution {config.resolution} and "
            f"--batch-size {config.batch_size} need more memory than this machine gives: lower one of them"
        ) from None
