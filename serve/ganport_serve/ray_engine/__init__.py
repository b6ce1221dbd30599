"""Serves a bundle from replicas on a Ray cluster, one generator each, behind the same HTTP and gRPC front."""

from ganport_serve.ray_engine.engine import RayEngine

__all__ = ["RayEngine"]
