"""The Open Inference Protocol, version 2: over HTTP with JSON and binary tensors, and over gRPC."""
