"""The answer of each method of the protocol's gRPC service; its names are the service's."""

from http import HTTPStatus
from typing import Any

from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
from google.protobuf.message import Message  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2 as pb  # type: ignore[import-untyped]

from ganport_serve.errors import NotReadyError, UnknownModelError
from ganport_serve.problems import ProblemError
from ganport_serve.service import Service
from ganport_serve.v2 import described
from ganport_serve.v2.core import run
from ganport_serve.v2.grpc_tensors import call_of, response_of, tensors_of
from ganport_serve.v2.models import Model, models, named
from ganport_serve.v2.statistics import statistics

__all__ = ["Methods", "not_served"]

Proto = Any  # some generated message: tritonclient's stubs carry no types


class Methods:
    """Each takes a request and the seconds that its caller waits, None: forever."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def server_live(self, _: Proto, __: float | None) -> Message:
        """Whether the process is there."""
        return pb.ServerLiveResponse(live=True)

    async def server_ready(self, _: Proto, __: float | None) -> Message:
        """Whether every model is warm."""
        return pb.ServerReadyResponse(ready=self._service.engine.refusal() is None)

    async def model_ready(self, request: Proto, _: float | None) -> Message:
        """Whether a model is warm; one that is not there is not."""
        try:
            self._model(request)
        except (UnknownModelError, NotReadyError):
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=self._service.engine.refusal() is None)

    async def server_metadata(self, _: Proto, __: float | None) -> Message:
        """Name, version and extensions."""
        return ParseDict(described.server_metadata(), pb.ServerMetadataResponse())

    async def model_metadata(self, request: Proto, _: float | None) -> Message:
        """Inputs and outputs."""
        return ParseDict(described.metadata(self._model(request)), pb.ModelMetadataResponse())

    async def model_config(self, request: Proto, _: float | None) -> Message:
        """The configuration as Triton has it."""
        document = described.config(self._service, self._model(request))
        return ParseDict({"config": document}, pb.ModelConfigResponse())

    async def model_statistics(self, request: Proto, _: float | None) -> Message:
        """What was done; of every model where none is named."""
        found = [self._model(request)] if request.name else models(self._service.engine.served).values()
        return ParseDict(statistics(self._service, found), pb.ModelStatisticsResponse())

    async def repository_index(self, request: Proto, _: float | None) -> Message:
        """Every model with its state."""
        index = described.repository_index(self._service, ready=request.ready)
        return ParseDict({"models": index}, pb.RepositoryIndexResponse())

    async def model_infer(self, request: Proto, seconds: float | None) -> Message:
        """Images, scores or features."""
        model = named(self._service.engine.served, request.model_name, request.model_version)
        call = call_of(model, request, seconds)
        return response_of(call, request, await run(self._service, call, tensors_of(call, request)))

    def _model(self, request: Proto) -> Model:
        return named(self._service.engine.served, request.name, request.version)


async def not_served(request: Proto, _: float | None) -> Message:
    """Refuses what the service's definition has and this server does not."""
    name = type(request).__name__.removesuffix("Request")
    detail = (
        f"{name} is not served: one bundle, tensors in the messages themselves, settings by ganport serve's options"
    )
    raise ProblemError.of(HTTPStatus.NOT_IMPLEMENTED, detail)
