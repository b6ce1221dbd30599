"""Moved to `ganport_runtime.opening`."""

from ganport_runtime.opening import Signature, check_signature

__all__ = ["Signature", "check_signature"]
