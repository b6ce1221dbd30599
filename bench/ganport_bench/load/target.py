"""What is loaded, from the words of a command line: a server's address, or a bundle."""

from pathlib import Path
from urllib.parse import SplitResult, quote, urlsplit

from ganport_bench.errors import BenchError
from ganport_bench.load.address import address_of
from ganport_bench.load.bundle import ServedBundle
from ganport_bench.load.opened import Target
from ganport_bench.load.servers import LitServeServer, OpenInferenceServer

__all__ = ["MODEL", "target_of"]

MODEL = "generator"
WANTED = "http://HOST:PORT of an Open Inference Protocol server, litserve+http://HOST:PORT, or a bundle"


def target_of(text: str, *, model: str = MODEL) -> Target:
    """The server at an address, or one that is started around a bundle.

    Args:
        text: `http://HOST:PORT` of any server of the Open Inference Protocol, `litserve+http://HOST:PORT/PATH` of
            LitServe's (the path is `/predict` where none is given), or the folder of a bundle, for which
            `ganport serve` is started in its default settings and stopped afterwards.
        model: of an Open Inference Protocol server, asked for.

    Raises:
        BenchError: it is none of these.
    """
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise BenchError(f"{text}: {error}; give {WANTED}") from None
    if parts.scheme == "http":
        return _open_inference(text, parts, model)
    if parts.scheme == "litserve+http":
        return LitServeServer(address_of(text, parts), quote(parts.path) if parts.path.strip("/") else "/predict")
    if "://" in text:
        raise BenchError(f"{text}: {parts.scheme} is not spoken here, only plain http; give {WANTED}")
    if not Path(text).is_dir():
        raise BenchError(f"{text} is no folder; give {WANTED}")
    return ServedBundle(Path(text))


def _open_inference(text: str, parts: SplitResult, model: str) -> Target:
    if parts.path.strip("/"):
        raise BenchError(f"{text}: give the server alone, {parts.scheme}://{parts.netloc}, and a model by --model")
    return OpenInferenceServer(address_of(text, parts), model)
