"""The closed loop over gRPC: so many clients of the Open Inference Protocol's service, each with its own connection."""

import asyncio
import time

import grpc  # type: ignore[import-untyped]
from tritonclient.grpc.service_pb2 import (  # type: ignore[import-untyped]
    ModelInferRequest,
    ModelInferResponse,
)

from ganport_bench.errors import BenchError
from ganport_bench.serving.expected import Expected
from ganport_bench.serving.outcome import OK, Log, Outcome

__all__ = ["CONNECT_SECONDS", "METHOD", "OPTIONS", "PATIENCE", "check", "grpc_loop", "request_of"]

METHOD = "/inference.GRPCInferenceService/ModelInfer"
# channels of one process would share one connection to a server
OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
PATIENCE = 30.0  # seconds for one answer
CONNECT_SECONDS = 10.0

clock = time.perf_counter


def grpc_loop(address: str, expected: Expected, *, clients: int, seconds: float, model: str = "generator") -> Outcome:
    """Load a server over gRPC for some seconds; then every answer is awaited.

    Args:
        address: host and port.
        expected: what is asked for and must be answered.
        clients: connections, each with one request in the air at all times.
        seconds: for how long requests are sent.
        model: asked for.

    Raises:
        BenchError: nobody listens there.
    """
    return asyncio.run(_load(address, expected, clients, seconds, model))


async def _load(address: str, expected: Expected, clients: int, seconds: float, model: str) -> Outcome:
    channels = [grpc.aio.insecure_channel(address, OPTIONS) for _ in range(clients)]
    try:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.gather(*(channel.channel_ready() for channel in channels))
        except TimeoutError:
            raise BenchError(f"{address} takes no gRPC connection within {CONNECT_SECONDS:g} s") from None
        log, request = Log(), request_of(model)
        begun, cpu = clock(), time.process_time()
        await asyncio.gather(*(_client(channel, request, expected, log, begun + seconds) for channel in channels))
        return log.outcome(begun, clock(), time.process_time() - cpu)
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))


async def _client(
    channel: grpc.aio.Channel, request: ModelInferRequest, expected: Expected, log: Log, end: float
) -> None:
    infer = channel.unary_unary(METHOD, response_deserializer=ModelInferResponse.FromString)
    while (now := clock()) < end:
        number = log.add(now, now)
        seed = expected.seed_of(number)
        request.raw_input_contents[0] = seed.to_bytes(8, "little")
        try:
            answer = await infer(request.SerializeToString(), timeout=PATIENCE)
        except grpc.aio.AioRpcError as error:
            log.lost[f"{error.code().name}: {error.details()}"] += 1
        else:
            log.answered[number], log.status[number] = clock(), OK
            check(answer, seed, expected, log)


def check(answer: ModelInferResponse, seed: int, expected: Expected, log: Log) -> None:
    """Look at an answer, and note what is wrong with it or that it was compared."""
    image = answer.raw_output_contents[0]
    fault = expected.fault(seed, image, 0, len(image))
    if fault is not None:
        log.wrong[fault] += 1
    elif expected.is_known(seed):
        log.checked += 1


def request_of(model: str) -> ModelInferRequest:
    """A request for one image of a seed, which is its only raw content."""
    request = ModelInferRequest(model_name=model)
    request.inputs.add(name="seed", datatype="UINT64", shape=[1])
    request.outputs.add(name="image")
    request.raw_input_contents.append(bytes(8))
    return request
