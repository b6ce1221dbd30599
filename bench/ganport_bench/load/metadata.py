"""How a model is asked, found in what an Open Inference Protocol server says of itself and of it."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ganport_bench.errors import BenchError
from ganport_bench.load.address import Address
from ganport_bench.serving.exchange import HOST, Exchange, OpenInferenceExchange
from ganport_bench.serving.tensor_exchange import DATATYPES, Tensor, TensorExchange

__all__ = ["exchange_of", "model_metadata", "server_metadata"]

BINARY = "binary_tensor_data"
NOT_IN_JSON = ("FP16", "BF16")
Document = Mapping[str, Any]


def server_metadata(address: Address) -> Document:
    """Name, version and extensions of a server.

    Raises:
        BenchError: it does not answer, or not in this protocol.
    """
    status, document = address.get("/v2")
    if status in (401, 403):
        raise BenchError(f"{address} answers {status} to GET /v2: it wants a token; load one that asks for none")
    if status != 200 or not isinstance(document, dict):
        raise BenchError(
            f"{address} is no Open Inference Protocol server: it answers {status} to GET /v2; "
            "LitServe's address is given as litserve+http://HOST:PORT"
        )
    return document


def model_metadata(address: Address, model: str) -> Document:
    """Inputs and outputs of a model.

    Raises:
        BenchError: the server has no such model.
    """
    path = f"/v2/models/{quote(model, safe='')}"
    status, document = address.get(path)
    if status != 200 or not isinstance(document, dict):
        raise BenchError(f"{address} answers {status} to GET {path}: name a model that it serves by --model")
    return document


def exchange_of(server: Document, metadata: Document, model: str, *, host: str = HOST) -> Exchange:
    """How the model is asked: by a seed where it is ganport's generator, else by all of its inputs.

    Raises:
        BenchError: an input cannot be filled.
    """
    is_binary = BINARY in server.get("extensions", ())
    try:
        inputs = [(one["name"], one["datatype"], tuple(map(int, one["shape"]))) for one in metadata["inputs"]]
        outputs = {one["name"] for one in metadata["outputs"]}
    except (KeyError, TypeError, ValueError):
        raise BenchError(f"the metadata of {model} does not say what its inputs and outputs are") from None
    tensors = tuple(_tensor(name, datatype, shape, is_binary=is_binary) for name, datatype, shape in inputs)
    seed = next((one for one in tensors if one.name == "seed" and one.datatype == "UINT64" and one.size == 1), None)
    if seed is None or "image" not in outputs:
        return TensorExchange(model, tensors, is_binary, host)
    if is_binary:
        return OpenInferenceExchange(model, seed.shape, host)
    return TensorExchange(model, (seed,), is_binary, host)


def _tensor(name: str, datatype: str, shape: Sequence[int], *, is_binary: bool) -> Tensor:
    if datatype not in DATATYPES:
        raise BenchError(f"the input {name} is {datatype}, wanted one of {', '.join(DATATYPES)}")
    if datatype in NOT_IN_JSON and not is_binary:
        raise BenchError(f"the input {name} is {datatype}, which JSON cannot carry, and the server has no {BINARY}")
    return Tensor(name, datatype, tuple(1 if size < 0 else size for size in shape))
