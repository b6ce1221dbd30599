"""The Triton model that carries the ganport runtime: requests are merged, run at once by a bundle, and split again.

Triton loads this file as `1/model.py`; the runtime and the bundle lie beside it. Nothing else of ganport is needed.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BUNDLE = HERE / "bundle.ganport"
sys.path.insert(0, str(HERE))  # before any other version of the runtime that is installed

import ganport_runtime  # noqa: E402
import numpy as np  # noqa: E402
import triton_python_backend_utils as pb_utils  # type: ignore[import-not-found]  # noqa: E402  # Triton has it
from ganport_runtime import Discriminator, Generator, InputError  # noqa: E402
from ganport_runtime.errors import batch_of  # noqa: E402
from ganport_runtime.latents import latents_of  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

Rows = NDArray[Any]
DEVICES = {"CPU": "cpu", "GPU": "cuda"}
FAILED = "the engine failed on this batch; the server's log says why"


class TritonPythonModel:
    """One instance of the model, which is one process."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Open the bundle; Triton runs a batch of each bucket next, before it calls the model ready."""
        parameters = json.loads(args["model_config"])["parameters"]
        settings = {name: value["string_value"] for name, value in parameters.items()}
        device = DEVICES[args["model_instance_kind"]]
        if device == "cuda" and args["model_instance_device_id"] != "0":
            raise pb_utils.TritonModelException(
                "ganport runs on GPU 0 alone: show each server one by CUDA_VISIBLE_DEVICES"
            )
        self._role = ROLES[settings["role"]](device, settings)
        runtime = f"ganport_runtime {ganport_runtime.__version__} in {Path(ganport_runtime.__file__).parent}"
        pb_utils.Logger.log_info(f"{args['model_instance_name']}: {self._role.network!r}; {runtime}")

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Run all requests as one batch; one that is wrong is refused alone."""
        responses: list[Any] = [None] * len(requests)
        accepted: list[tuple[int, Rows]] = []
        for number, request in enumerate(requests):
            try:
                accepted.append((number, self._role.rows(request)))
            except InputError as error:
                responses[number] = _error(str(error), pb_utils.TritonError.INVALID_ARG)
        if accepted:
            for (number, _), response in zip(accepted, self._responses([rows for _, rows in accepted]), strict=True):
                responses[number] = response
        return responses

    def finalize(self) -> None:
        """Let go of the engine."""
        self._role.network.close()

    def _responses(self, parts: Sequence[Rows]) -> list[Any]:
        bounds = np.cumsum([0, *map(len, parts)])
        try:
            outputs = self._role.run(parts)
        except Exception as error:  # the server's log says what it was, its clients only that it was
            pb_utils.Logger.log_error(f"a batch of {bounds[-1]} failed: {error}")
            return [_error(FAILED, pb_utils.TritonError.INTERNAL) for _ in parts]
        return [_answer(outputs, slice(start, stop)) for start, stop in pairwise(bounds)]


class GeneratorRole:
    """`z`, or `seed` and `index`, to `image`."""

    def __init__(self, device: str, settings: Mapping[str, str]) -> None:
        self.network = Generator.open(BUNDLE, device=device, **_opening(settings))

    def rows(self, request: Any) -> Rows:
        """A request's latents, float32 [n, latent_dim], or what they are made of: seed, index and 1, uint64 [n, 3]."""
        z, seeds, indices = (_input(request, name) for name in ("z", "seed", "index"))
        if (z is None) == (seeds is None) or (seeds is None and indices is not None):
            raise InputError("wanted either z, or seed with or without index")
        if z is not None:
            return batch_of("z", z, "float32", (self.network.latent_dim,))
        return np.hstack([seeds, np.zeros_like(seeds) if indices is None else indices, np.ones_like(seeds)])

    def run(self, parts: Sequence[Rows]) -> dict[str, Rows]:
        """The images of all parts; latents of seeds are made in one go where all are such."""
        if all(part.dtype == np.uint64 for part in parts):
            return {"image": self.network(self._latents(_merged(parts)))}
        z = [self._latents(part) if part.dtype == np.uint64 else part for part in parts]
        return {"image": self.network(_merged(z))}

    def _latents(self, ranges: Rows) -> Rows:
        return latents_of(ranges.tolist(), self.network.latent_dim)


class DiscriminatorRole:
    """`image` to `logit` and `features`."""

    def __init__(self, device: str, settings: Mapping[str, str]) -> None:
        self.network = Discriminator.open(BUNDLE, device=device, **_opening(settings))

    def rows(self, request: Any) -> Rows:
        """The images of a request, uint8 [n, height, width, channels]."""
        return batch_of("image", _input(request, "image"), "uint8", self.network.image_shape)

    def run(self, parts: Sequence[Rows]) -> dict[str, Rows]:
        """Logits and features of all images, of one run."""
        logits, features = self.network.examine(_merged(parts))
        return {"logit": logits, "features": features}


ROLES: dict[str, Callable[[str, Mapping[str, str]], GeneratorRole | DiscriminatorRole]] = {
    "generator": GeneratorRole,
    "discriminator": DiscriminatorRole,
}


def _opening(settings: Mapping[str, str]) -> dict[str, Any]:
    threads = settings.get("threads")
    return {
        "one_plan": True,  # requests share batches of any size, which must not show in anybody's images
        "precision": settings["precision"],
        "backend": settings["backend"],
        "threads": None if threads is None else int(threads),
    }


def _merged(parts: Sequence[Rows]) -> Rows:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


# Tensors go through DLPack: a stub that was built for numpy 1 reads the strides and sizes of numpy 2's arrays as zero.


def _input(request: Any, name: str) -> Any:
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return None if tensor is None else np.from_dlpack(tensor)


def _answer(outputs: Mapping[str, Rows], part: slice) -> Any:
    tensors = [pb_utils.Tensor.from_dlpack(name, rows[part]) for name, rows in outputs.items()]
    return pb_utils.InferenceResponse(tensors)


def _error(message: str, code: Any) -> Any:
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message, code))
