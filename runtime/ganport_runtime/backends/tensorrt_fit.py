"""Moved to `ganport_runtime.backends.tensorrt`."""

from ganport_runtime.backends.tensorrt import (
    EXTRAS,
    Machine,
    bucket_profiles,
    installed,
    platform_name,
    refusal_of,
    this_machine,
)

__all__ = ["EXTRAS", "Machine", "bucket_profiles", "installed", "platform_name", "refusal_of", "this_machine"]
