"""Compares what a contender makes with what it should make, before anything is timed."""

from dataclasses import dataclass

import numpy as np
from ganport_runtime.differences import Difference, compare

from ganport_bench.exactness import EXACT_DB
from ganport_bench.peers.protocol import Latents, Pixels, Session

__all__ = ["FLOOR_DB", "Judge", "Verdict"]

FLOOR_DB = 35.0  # below it no variant of a lower precision is shipped
BELOW_DB = 15.0  # that a single image may lie under what their mean must reach; quantized ones lay 11 dB below it


@dataclass(frozen=True)
class Verdict:
    """Whether the images are right.

    Attributes:
        difference: from the reference, or None where they cannot even be compared.
        wrong: why they are wrong, or empty.
    """

    difference: Difference | None
    wrong: str = ""

    @property
    def psnr_db(self) -> float | None:
        """The mean PSNR over the images, in dB."""
        return None if self.difference is None else self.difference.psnr_db_mean


@dataclass(frozen=True)
class Judge:
    """Holds the reference.

    Args:
        latents: float32 [n, latent_dim].
        pixels: what the network makes of them in float64, uint8 [n, height, width, channels].
    """

    latents: Latents
    pixels: Pixels

    def __call__(self, session: Session, batch: int, images: int) -> Verdict:
        """Run the first `images` latents, at least one batch, `batch` at a time."""
        count = min(max(batch, images // batch * batch), len(self.latents) // batch * batch)
        made = [session.run(self.latents[at : at + batch]) for at in range(0, count, batch)]
        wanted = self.pixels[:batch]
        for part in made:
            if part.dtype != np.uint8 or part.shape != wanted.shape:
                return Verdict(None, f"{part.dtype} {part.shape} where {wanted.dtype} {wanted.shape} is wanted")
        difference = compare(np.concatenate(made), self.pixels[:count])
        floor = EXACT_DB if session.precision == "fp32" else FLOOR_DB
        is_right = difference.psnr_db_mean >= floor and difference.psnr_db_worst >= floor - BELOW_DB
        wanted_db = f"a mean of {floor:g} dB, the worst image {floor - BELOW_DB:g}"
        wrong = "" if is_right else f"{difference}; {session.precision} must reach {wanted_db}"
        return Verdict(difference, wrong)
