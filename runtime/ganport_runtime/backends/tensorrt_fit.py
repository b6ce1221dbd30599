"""Moved to `ganport_runtime.backends.tensorrt`; `EXTRAS` gave way to `packages` of the backend."""

from ganport_runtime.backends.tensorrt import TensorRTBackend, bucket_profiles, platform_name, refusal_of, this_machine

__all__ = ["EXTRAS", "bucket_profiles", "platform_name", "refusal_of", "this_machine"]

EXTRAS = {package.module: package.extra for package in TensorRTBackend.packages}
