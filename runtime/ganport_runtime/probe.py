"""The probe of a bundle: a few latents with the pixels that every plan must make of them before it is used."""

import io
from dataclasses import dataclass
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.bundle import Bundle
from ganport_runtime.errors import BundleError
from ganport_runtime.manifest import Manifest
from ganport_runtime.text import one_line

__all__ = ["ProbeData", "read_probe"]

MAX_BYTES = 256 * 2**20  # what a damaged or hostile archive may unpack to
REMEDY = "copy the bundle again or export it again"


@dataclass(frozen=True)
class ProbeData:
    """What the probe's file holds.

    Attributes:
        z: latents, float32 [n, latent_dim].
        image: the float64 network's pixels of them, uint8 [n, height, width, channels].
        logit: the float64 discriminator's logits of those pixels, float32 [n], or None without a discriminator.
    """

    z: NDArray[np.float32]
    image: NDArray[np.uint8]
    logit: NDArray[np.float32] | None


def read_probe(bundle: Bundle) -> ProbeData | None:
    """Read the probe of a bundle, or None where it has none.

    Raises:
        BundleError: its file is altered, or does not hold what the manifest says.
    """
    probe = bundle.manifest.probe
    if probe is None:
        return None
    data = bundle.read(probe)
    try:
        return _parse(data, probe.images, bundle.manifest)
    except Exception as error:  # a damaged archive makes zipfile, zlib and numpy raise whatever it leads them to
        raise BundleError(f"{bundle.path / probe.file} is damaged: {one_line(str(error))}; {REMEDY}") from None


def _parse(data: bytes, images: int, manifest: Manifest) -> ProbeData:
    with ZipFile(io.BytesIO(data)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_BYTES} bytes")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    info = manifest.generator
    wanted: dict[str, tuple[str, tuple[int, ...]]] = {
        "z": ("float32", (images, info.latent.dim)),
        "image": ("uint8", (images, *info.image.shape)),
        "logit": ("float32", (images,)),
    }
    for name, array in arrays.items():
        _check(name, array, *wanted[name])
    return ProbeData(arrays["z"], arrays["image"], arrays.get("logit"))


def _check(name: str, array: NDArray[np.generic], dtype: str, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{name} is {array.dtype} {list(array.shape)}, wanted {dtype} {list(shape)}")
    if dtype == "float32" and not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity")
