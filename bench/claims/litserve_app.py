"""A LitServe server for a bundle's generator, as one would write it: `litserve_app.py BUNDLE PRECISION PORT`."""

import sys
from typing import Any

import litserve  # type: ignore[import-untyped]
import numpy as np
from ganport_runtime import Generator, latents
from ganport_runtime.batches import BUCKETS, TOP
from starlette.responses import Response

BATCH_TIMEOUT = 0.005  # seconds
SETTINGS = {"max_batch_size": str(TOP), "batch_timeout": f"{BATCH_TIMEOUT:g} s", "fast_queue": "yes", "workers": "1"}


class GeneratorAPI(litserve.LitAPI):  # type: ignore[misc]
    """Takes `{"seed": 7}`, answers the first image of that seed as bytes."""

    def __init__(self, bundle: str, precision: str, **settings: Any) -> None:
        super().__init__(**settings)
        self._bundle, self._precision = bundle, precision

    def setup(self, device: str) -> None:  # noqa: ARG002
        """Open the plan that the other systems run, and warm every bucket."""
        self._generator = Generator.open(self._bundle, precision=self._precision, one_plan=True)
        for bucket in BUCKETS:
            self._generator.sample(bucket)

    def decode_request(self, request: dict[str, int]) -> int:  # noqa: D102
        return int(request["seed"])

    def batch(self, inputs: list[int]) -> list[int]:  # noqa: D102
        return inputs

    def predict(self, seeds: list[int]) -> Any:
        """One run of the engine for all of them, uint8 [n, height, width, channels]."""
        return self._generator(np.concatenate([latents(seed, 0, 1, self._generator.latent_dim) for seed in seeds]))

    def unbatch(self, output: Any) -> list[Any]:  # noqa: D102
        return list(output)

    def encode_response(self, image: Any) -> Response:  # noqa: D102
        return Response(image.tobytes(), media_type="application/octet-stream")


def main(bundle: str, precision: str, port: str) -> None:
    """Serve until the process is stopped."""
    api = GeneratorAPI(bundle, precision, max_batch_size=TOP, batch_timeout=BATCH_TIMEOUT)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1, fast_queue=sys.platform != "win32")
    server.run(host="127.0.0.1", port=int(port), log_level="warning", generate_client_file=False, access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
