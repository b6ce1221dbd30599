"""For people and scripts: images of a seed, walks between seeds, scores and features, by plain HTTP."""

from starlette.routing import BaseRoute, Route

from ganport_serve.service import Service
from ganport_serve.v1.images import ImageRoutes
from ganport_serve.v1.pictures import Pictures
from ganport_serve.v1.scores import ScoreRoutes
from ganport_serve.v1.walk import WalkRoutes
from ganport_serve.v1.workers import Workers

__all__ = ["routes"]


def routes(service: Service) -> list[BaseRoute]:
    """Every path below `/v1/` but `/v1/status`."""
    workers = Workers()
    pictures = Pictures(service, workers)
    images, walk, scores = ImageRoutes(service, pictures), WalkRoutes(service, pictures), ScoreRoutes(service, workers)
    return [
        Route("/v1/images", images.images, methods=["GET"]),
        Route("/v1/images/{name}", images.image, methods=["GET"]),
        Route("/v1/walk", walk.walk, methods=["GET"]),
        Route("/v1/scores", scores.scores, methods=["POST"]),
        Route("/v1/features", scores.features, methods=["POST"]),
    ]
