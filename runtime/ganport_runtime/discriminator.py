"""The discriminator: images in, a score or a feature vector each out."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.backends import Tensor
from ganport_runtime.checks import batch_of
from ganport_runtime.manifest import DiscriminatorInfo, Manifest
from ganport_runtime.network import Network

__all__ = ["Discriminator"]


class Discriminator(Network):
    """The discriminator of a bundle.

    Example:
        with Discriminator.open("emoji.ganport") as discriminator:
            vectors = discriminator.embed(images)
    """

    role = "discriminator"

    @classmethod
    def signature(cls, manifest: Manifest) -> tuple[Tensor, ...]:
        """`image` uint8 [batch, height, width, channels], `logit` float32 [batch], `features` float32 [batch, F]."""
        info = _info(manifest)
        image = Tensor("image", "uint8", (None, *info.image.shape))
        return image, Tensor("logit", "float32", (None,)), Tensor("features", "float32", (None, info.features.dim))

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one image."""
        return _info(self.bundle.manifest).image.shape

    @property
    def feature_dim(self) -> int:
        """Numbers in one feature vector, F."""
        return _info(self.bundle.manifest).features.dim

    def score(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """How real each image looks.

        Args:
            images: uint8 [n, height, width, channels].

        Returns:
            Logits, float32 [n]; larger is more real.

        Raises:
            InputError: the images have another dtype or shape.
            ClosedError: the discriminator is closed.
            PlanError: the engine failed.
        """
        return self._run("logit", batch_of("images", images, "uint8", self.image_shape))

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The feature vector of each image (Radford et al. 2015, section 5.1).

        Args:
            images: uint8 [n, height, width, channels].

        Returns:
            float32 [n, feature_dim].

        Raises:
            InputError: the images have another dtype or shape.
            ClosedError: the discriminator is closed.
            PlanError: the engine failed.
        """
        return self._run("features", batch_of("images", images, "uint8", self.image_shape))

    def examine(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Score and feature vector of each image, of one run for both.

        Args:
            images: uint8 [n, height, width, channels].

        Returns:
            Logits, float32 [n], and features, float32 [n, feature_dim].

        Raises:
            InputError: the images have another dtype or shape.
            ClosedError: the discriminator is closed.
            PlanError: the engine failed.
        """
        logits, features = self._run_all(("logit", "features"), batch_of("images", images, "uint8", self.image_shape))
        return logits, features


def _info(manifest: Manifest) -> DiscriminatorInfo:
    return cast(DiscriminatorInfo, manifest.discriminator)  # `open` has seen that there is one
