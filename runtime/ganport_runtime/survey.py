"""Moved to `ganport_runtime.plan`; `survey` is `list_plans` there."""

from ganport_runtime.plan import PREFERRED_FORM, refusal_of
from ganport_runtime.plan import list_plans as survey

__all__ = ["PREFERRED_FORM", "refusal_of", "survey"]
