"""The protocol's service over gRPC, with the published stubs that tritonclient carries."""

import asyncio
from collections.abc import Mapping

import grpc  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2 as pb  # type: ignore[import-untyped]

from ganport_serve.lifecycle import Lifecycle
from ganport_serve.problems import Problem
from ganport_serve.service import Service
from ganport_serve.settings import Settings
from ganport_serve.v2.grpc_codes import detail_of
from ganport_serve.v2.grpc_edge import Answer, GrpcEdge, Method, Outcome
from ganport_serve.v2.grpc_methods import Methods, not_served

__all__ = ["GrpcServer"]

DEFINITION = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
FINAL = "triton_final_response"
SPARE_CALLS = 256  # in the engine, on their way, asking for metadata, or streams
WITHOUT_TOKEN = ("ServerLive", "ServerReady")


class GrpcServer:
    """grpcio's server, whose open streams end when it is told to stop: a stream that nobody uses holds up no end.

    Made on the running event loop on which it will live. A message is bounded by `settings.max_body`, and is whole in
    memory before its token can be seen; so calls under way are bounded by what the queue takes and some to spare, and
    one too many ends with RESOURCE_EXHAUSTED. Both together bound what all messages hold.

    Args:
        service: that answers.
        lifecycle: counts the requests.
    """

    def __init__(self, service: Service, lifecycle: Lifecycle) -> None:
        self._stop, settings = asyncio.Event(), service.settings
        calls = min(settings.max_connections, settings.max_queue + SPARE_CALLS)
        self._server = grpc.aio.server(options=_options(settings), maximum_concurrent_rpcs=calls)
        self._server.add_generic_rpc_handlers((_handlers(service, lifecycle, self._stop),))

    def add_insecure_port(self, address: str) -> int:
        """Listen at `host:port` too; returns the port.

        Raises:
            RuntimeError: it is taken.
        """
        port: int = self._server.add_insecure_port(address)
        return port

    async def start(self) -> None:
        """Take calls."""
        await self._server.start()

    async def stop(self, grace: float | None) -> None:
        """Refuse what comes, and wait so many seconds for what is under way; None: not at all."""
        self._stop.set()
        await self._server.stop(grace)


def _options(settings: Settings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_body),
        ("grpc.max_send_message_length", -1),  # answers are bounded by the count of images
        ("grpc.max_metadata_size", settings.max_header),
        ("grpc.max_connection_idle_ms", round(settings.idle_timeout * 1000)),
        ("grpc.so_reuseport", 0),  # a port in use is an error, not shared
    ]


def _handlers(service: Service, lifecycle: Lifecycle, stop: asyncio.Event) -> grpc.GenericRpcHandler:
    edge, answers = GrpcEdge(service, lifecycle, stop), _answers(Methods(service))
    handlers = {}
    for definition in DEFINITION.methods:
        name, message = definition.name, getattr(pb, definition.input_type.name)
        method = Method(name, message, answers.get(name, not_served), wants_token=name not in WITHOUT_TOKEN)
        handlers[name] = edge.stream(method, _streamed) if name == "ModelStreamInfer" else edge.unary(method)
    return grpc.method_handlers_generic_handler(DEFINITION.full_name, handlers)


def _answers(methods: Methods) -> Mapping[str, Answer]:
    return {
        "ServerLive": methods.server_live,
        "ServerReady": methods.server_ready,
        "ModelReady": methods.model_ready,
        "ServerMetadata": methods.server_metadata,
        "ModelMetadata": methods.model_metadata,
        "ModelConfig": methods.model_config,
        "ModelStatistics": methods.model_statistics,
        "RepositoryIndex": methods.repository_index,
        "ModelInfer": methods.model_infer,
        "ModelStreamInfer": methods.model_infer,
    }


def _streamed(outcome: Outcome) -> Message:
    """One answer of a stream; it says which request it belongs to, and that no further one follows."""
    answer = outcome.answer
    if isinstance(answer, Problem):
        response = pb.ModelInferResponse(id="" if outcome.request is None else outcome.request.id)
        return pb.ModelStreamInferResponse(error_message=detail_of(answer), infer_response=response)
    answer.parameters[FINAL].bool_param = True
    return pb.ModelStreamInferResponse(infer_response=answer)
