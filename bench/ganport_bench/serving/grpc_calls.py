"""One client over gRPC that blocks until it has its answer, as most who ask for one image at a time do."""

import time

import grpc  # type: ignore[import-untyped]
from tritonclient.grpc.service_pb2 import ModelInferResponse  # type: ignore[import-untyped]

from ganport_bench.errors import BenchError
from ganport_bench.serving.expected import Expected
from ganport_bench.serving.grpc_loop import CONNECT_SECONDS, METHOD, OPTIONS, PATIENCE, check, request_of
from ganport_bench.serving.outcome import OK, Log, Outcome

__all__ = ["grpc_calls"]

clock = time.perf_counter


def grpc_calls(address: str, expected: Expected, *, seconds: float, model: str = "generator") -> Outcome:
    """Ask a server for one image after another for some seconds.

    Args:
        address: host and port.
        expected: what is asked for and must be answered.
        seconds: for how long.
        model: asked for.

    Raises:
        BenchError: nobody listens there.
    """
    with grpc.insecure_channel(address, OPTIONS) as channel:
        try:
            grpc.channel_ready_future(channel).result(CONNECT_SECONDS)
        except grpc.FutureTimeoutError:
            raise BenchError(f"{address} takes no gRPC connection within {CONNECT_SECONDS:g} s") from None
        infer = channel.unary_unary(METHOD, response_deserializer=ModelInferResponse.FromString)
        log, request = Log(), request_of(model)
        begun, cpu = clock(), time.process_time()
        while (now := clock()) < begun + seconds:
            number = log.add(now, now)
            seed = expected.seed_of(number)
            request.raw_input_contents[0] = seed.to_bytes(8, "little")
            try:
                answer = infer(request.SerializeToString(), timeout=PATIENCE)
            except grpc.RpcError as error:
                log.lost[f"{error.code().name}: {error.details()}"] += 1
            else:
                log.answered[number], log.status[number] = clock(), OK
                check(answer, seed, expected, log)
        return log.outcome(begun, clock(), time.process_time() - cpu)
