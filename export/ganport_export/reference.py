"""What a network itself makes of its inputs, in float64: the original that every graph is measured against."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from ganport_train.networks import DcganDiscriminator
from torch import Tensor, nn

from ganport_export.errors import ModuleError, Observer, user_code
from ganport_export.inputs import Feed, GeneratorInputs

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]

AT_ONCE = 32  # images: more are hardly faster and take gigabytes at 256x256 pixels
FULL = 1 + 1 / 255  # beyond it a value would be a whole pixel step outside 0..255
MAX_SHARE_CLIPPED = 0.1  # more is no stray value: the network returns another range

_NO_FLOAT64 = "the network does not run in float64, in which parity is measured"
_REMEDY = "make its tensors with dtype=z.dtype, and convert none to float32"


@dataclass(frozen=True)
class NetworkReference:
    """A generator's own values of the first inputs of one seed."""

    seed: int  # of the inputs
    inputs: Feed
    values: Floats  # float64 [n, channels, height, width], nominally in [-1, 1]

    @property
    def pixels(self) -> Pixels:
        """The finished images, uint8 [n, height, width, channels]: round((x + 1) * 127.5), half to even, clipped."""
        return np.clip(np.round((self.values + 1) * 127.5), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


@contextlib.contextmanager
def in_float64(network: nn.Module) -> Iterator[None]:
    """Lend a float32 network in float64: in place, since some modules refuse to be copied, and back without loss."""
    try:
        with user_code(_NO_FLOAT64, _REMEDY):
            network.double()
        with torch.no_grad():
            yield
    finally:
        with user_code("the network cannot be put back to float32"):
            network.float()


def make_reference(network: nn.Module, inputs: GeneratorInputs, seed: int, count: int) -> NetworkReference:
    """Run a network on the first `count` inputs of `seed`."""
    with in_float64(network):
        values = torch.cat([values_of(network, feed) for feed in inputs.batches(seed, count, AT_ONCE)])
    return NetworkReference(seed, inputs.draw(seed, count), values.numpy())


def values_of(network: nn.Module, feed: Feed) -> Tensor:
    """What a network lent in float64 makes of a feed, which stays as it is."""
    with user_code(_NO_FLOAT64, _REMEDY):
        # Copies, since some networks change their input in place.
        values = network(*(torch.from_numpy(array).to(torch.float64, copy=True) for array in feed.values()))
        if values.dtype != torch.float64:
            raise ModuleError(f"{_NO_FLOAT64}: it returns {values.dtype} for float64 latents; {_REMEDY}")
        made: Tensor = values.detach().contiguous()
    return made


def check_values(reference: NetworkReference, observer: Observer) -> None:
    """Refuse values that are no images in [-1, 1], before clipping hides it; report suspicious ones."""
    values = reference.values
    bad = ~np.isfinite(values).all(axis=(1, 2, 3))
    if bad.any():
        image = int(np.argmax(bad))
        raise ModuleError(
            f"the network's output is not finite: NaN or infinity in image {image} of seed {reference.seed}"
        )
    clipped = float(np.mean(np.abs(values) > FULL))
    where = f"{clipped:.2%} of the network's values are outside [-1, 1] (from {values.min():.3g} to {values.max():.3g})"
    if clipped > MAX_SHARE_CLIPPED:
        raise ModuleError(f"{where}: end the network in tanh, or scale its images to [-1, 1]")
    if clipped:
        observer(f"{where} and are clipped")
    if values.min() >= 0 and values.max() > 0:
        observer("no value of the network's is below 0: does it return images in [0, 1]? [-1, 1] is wanted")
    if len(values) > 1 and np.ptp(values, axis=0).max() == 0:
        observer("the network makes the same image of every latent")


def discriminator_reference(network: DcganDiscriminator, pixels: Pixels) -> tuple[Floats, Floats]:
    """Logits float64 [n] and features float64 [n, F] of pixels uint8 [n, height, width, channels]."""
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2) / 127.5 - 1)
    with in_float64(network):
        made = [network.logit_and_features(batch) for batch in torch.split(images, AT_ONCE)]
    logits, features = (torch.cat(parts).numpy() for parts in zip(*made, strict=True))
    return logits, features
