"""The client over gRPC, in a closed loop: one blocking client, or many on an event loop."""

import asyncio
import time
from contextlib import AsyncExitStack

import grpc  # type: ignore[import-untyped]
from tritonclient.grpc.service_pb2 import (  # type: ignore[import-untyped]
    ModelInferRequest,
    ModelInferResponse,
)

from ganport_bench.client.http import PATIENCE
from ganport_bench.client.outcome import OK, AnswerCheck, Outcome, OutcomeLog
from ganport_bench.client.requests import SEED_BYTES
from ganport_bench.errors import BenchError

METHOD = "/inference.GRPCInferenceService/ModelInfer"
# Without its own pool every channel of this process would share one connection.
OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
CONNECT_SECONDS = 10.0
clock = time.perf_counter


def grpc_loop(address: str, check: AnswerCheck, *, clients: int, seconds: float, model: str = "generator") -> Outcome:
    """Load a server for some seconds, each client with one request in flight; then wait for every answer.

    A single client uses the blocking stub, as most programs that need one image at a time do; its latency is lower than
    that of an event loop. Raises BenchError if the server at `address`, `HOST:PORT`, takes no connection.
    """
    calls = _Calls(check, model)
    if clients == 1:
        calls.block(address, seconds)
    else:
        asyncio.run(calls.gather(address, clients, seconds))
    return calls.log.outcome(calls.begun, clock(), time.process_time() - calls.cpu)


class _Calls:
    def __init__(self, check: AnswerCheck, model: str) -> None:
        self.log, self._check = OutcomeLog(), check
        self._request = ModelInferRequest(model_name=model)
        self._request.inputs.add(name="seed", datatype="UINT64", shape=[1])
        self._request.outputs.add(name="image")
        self._request.raw_input_contents.append(bytes(SEED_BYTES))
        self.begun = self.cpu = 0.0

    def block(self, address: str, seconds: float) -> None:
        with grpc.insecure_channel(address, OPTIONS) as channel:
            try:
                grpc.channel_ready_future(channel).result(CONNECT_SECONDS)
            except grpc.FutureTimeoutError:
                raise _no_connection(address) from None
            infer = channel.unary_unary(METHOD, response_deserializer=ModelInferResponse.FromString)
            self._start()
            while clock() < self.begun + seconds:
                number, seed, request = self._next()
                try:
                    answer = infer(request, timeout=PATIENCE)
                except grpc.RpcError as error:
                    self._lose(error)
                else:
                    self._answered(number, seed, answer)

    async def gather(self, address: str, clients: int, seconds: float) -> None:
        async with AsyncExitStack() as stack:
            made = [grpc.aio.insecure_channel(address, OPTIONS) for _ in range(clients)]
            channels = [await stack.enter_async_context(channel) for channel in made]
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await asyncio.gather(*(channel.channel_ready() for channel in channels))
            except TimeoutError:
                raise _no_connection(address) from None
            self._start()
            await asyncio.gather(*(self._loop(channel, self.begun + seconds) for channel in channels))

    async def _loop(self, channel: grpc.aio.Channel, end: float) -> None:
        infer = channel.unary_unary(METHOD, response_deserializer=ModelInferResponse.FromString)
        while clock() < end:
            number, seed, request = self._next()
            try:
                answer = await infer(request, timeout=PATIENCE)
            except grpc.aio.AioRpcError as error:
                self._lose(error)
            else:
                self._answered(number, seed, answer)

    def _start(self) -> None:
        self.begun, self.cpu = clock(), time.process_time()

    def _next(self) -> tuple[int, int, bytes]:
        now = clock()
        number = self.log.add(now, now)
        seed = self._check.seed_of(number)
        self._request.raw_input_contents[0] = seed.to_bytes(SEED_BYTES, "little")
        return number, seed, self._request.SerializeToString()

    def _answered(self, number: int, seed: int, answer: ModelInferResponse) -> None:
        self.log.answered[number], self.log.status[number] = clock(), OK
        image = answer.raw_output_contents[0]
        self.log.check(self._check, seed, image, 0, len(image))

    def _lose(self, error: grpc.RpcError) -> None:
        self.log.lost[f"{error.code().name}: {error.details()}"] += 1


def _no_connection(address: str) -> BenchError:
    return BenchError(f"{address} takes no gRPC connection within {CONNECT_SECONDS:g} s")
