"""Serves a bundle over HTTP and gRPC: the Open Inference Protocol, images for people and scripts, a page, metrics."""
