"""The real Triton server as a peer: its Python backend runs the same generator, in the best settings of those tried.

Its batcher is woken for a request only where an instance is free just then, else within half a second, which one
instance meets all the time; and with preferred sizes it sends small batches early. Two instances without them, which
wait a little to fill a batch, answered two to four times as many requests as any other settings.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganport_runtime.buckets import TOP
from ganport_serve.triton.choices import Choices
from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc.model_config_pb2 import ModelConfig  # type: ignore[import-untyped]

from ganport_bench.client.requests import Endpoint, SeedEncoder
from ganport_bench.errors import BenchError
from ganport_bench.own_cache import CACHE
from ganport_bench.serving.systems import Running

__all__ = ["TritonPeer"]

MODEL = "ganport_generator"
INSTANCES = 2
DELAY = 0.005  # seconds
SETTINGS = {
    "backend": "python",
    "dynamic batching up to": str(TOP),
    "queue delay": f"{DELAY:g} s",
    "instances": str(INSTANCES),
}


class TritonPeer:
    """tritonserver on the repository that `ganport export-triton` writes, without preferred batch sizes."""

    name = "Triton, python backend"

    def refusal(self) -> str | None:
        """It needs the server that the wheel nvidia-pytriton carries."""
        from ganport_serve.triton.server import find_tritonserver

        found = find_tritonserver()
        return found if isinstance(found, str) else None

    @contextmanager
    def start(self, bundle: Path, precision: str) -> Iterator[Running]:
        """Export, start, wait until the model is warm."""
        from ganport_serve.errors import ServeError
        from ganport_serve.triton.repository import export_repository
        from ganport_serve.triton.server import running

        with tempfile.TemporaryDirectory(prefix="ganport-triton-peer-") as folder:
            repository = Path(folder, "models")
            try:
                export_repository(bundle, repository, _choices(precision))
                _prefer_no_size(repository / MODEL / "config.pbtxt")
                with running(repository, models=[MODEL], environment=_environment()) as triton:
                    exchange = SeedEncoder(MODEL, shape=(1, 1))
                    host, _, port = triton.http.partition(":")
                    yield Running(self.name, triton.pid, Endpoint(host, int(port), exchange), settings=dict(SETTINGS))
            except ServeError as error:
                raise BenchError(str(error)) from None


def _choices(precision: str) -> Choices:
    return Choices(backends=("python",), precision=precision, instances=INSTANCES, max_delay=DELAY)


def _prefer_no_size(path: Path) -> None:
    config = text_format.Parse(path.read_text("utf-8"), ModelConfig())
    config.dynamic_batching.ClearField("preferred_batch_size")
    path.write_text(text_format.MessageToString(config), "utf-8")


def _environment() -> dict[str, str]:
    """Where the tuned plan is found."""
    return {CACHE: os.environ[CACHE]} if CACHE in os.environ else {}
