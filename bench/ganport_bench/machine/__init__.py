"""The facts of a machine that figures depend on, before a measurement and after it."""

from ganport_bench.machine.watch import Watch, facts

__all__ = ["Watch", "facts"]
