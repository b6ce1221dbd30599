"""Puts the parts of the server's HTTP side together."""

from starlette.routing import BaseRoute, Router

from ganport_serve import admin, openapi, page, status, v1
from ganport_serve.edge import Edge
from ganport_serve.lifecycle import Lifecycle
from ganport_serve.service import Service
from ganport_serve.v2 import http as v2

__all__ = ["make_app"]


def make_app(service: Service, lifecycle: Lifecycle) -> Edge:
    """Every route behind the edge that guards them."""
    routes: list[BaseRoute] = [
        *status.routes(service, lifecycle),
        *admin.routes(service),
        *v2.routes(service),
        *v1.routes(service),
        *openapi.routes(service),
        *page.routes(),
    ]
    return Edge(service, lifecycle, Router(routes, redirect_slashes=False))
