"""Moved to `ganport_runtime.backends.protocol`."""

from ganport_runtime.backends.protocol import NUMBER, check_options, number, thread_choices, thread_count

__all__ = ["NUMBER", "check_options", "number", "thread_choices", "thread_count"]
