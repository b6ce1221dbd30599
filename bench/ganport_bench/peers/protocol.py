"""What is measured against each other: contenders, each with the settings that are worth trying and how to open one."""

from collections.abc import Mapping
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["TRANSFERS", "Contender", "Kind", "Latents", "Pixels", "Session", "Settings"]

Kind = Literal["peer", "plan"]
Latents = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Settings = Mapping[str, str]

# What of copies a call's time includes, by the device that computes: everyone is timed from latents in the computer's
# memory to images there.
TRANSFERS = {
    "cpu": "none: computed in the computer's memory",
    "cuda": "included: latents to the GPU, images back, waited for",
}


class Session(Protocol):
    """A contender that is ready to run.

    Attributes:
        precision: what it computes with: `fp32`, `tf32`, `bf16`, `fp16`, `int8`.
        transfers: what of copies to a device and back a run includes; one of `TRANSFERS`.
        note: what else there is to say of it, if anything.
    """

    precision: str
    transfers: str
    note: str

    def run(self, z: Latents) -> Pixels:
        """Finished images of latents.

        Args:
            z: float32 [batch, latent_dim], of the batch size that the session was opened for.

        Returns:
            uint8 [batch, height, width, channels] in the computer's memory, C-contiguous, the caller's to keep.
        """

    def close(self) -> None:
        """Let go of the library's memory and threads."""


class Contender(Protocol):
    """One way to make a network's images.

    Attributes:
        name: what people call it; no two share one.
        kind: `peer`, or `plan` for ganport's own.
    """

    name: str
    kind: Kind

    def refusal(self) -> str | None:
        """Why it cannot run on this machine, or None; opens nothing."""

    def settings(self, batch: int) -> tuple[Settings, ...]:
        """The settings worth trying at a batch size, the library's own defaults first."""

    def open(self, settings: Settings, batch: int) -> Session:
        """Get ready to run `batch` images at a time; whatever this raises means that it cannot run here."""
