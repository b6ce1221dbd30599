"""Moved to `ganport_runtime.backends.openvino`."""

from ganport_runtime.backends.openvino import import_openvino, openvino_core

__all__ = ["import_openvino", "openvino_core"]
