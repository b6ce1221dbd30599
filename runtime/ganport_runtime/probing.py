"""Moved to `ganport_runtime.self_test`."""

from ganport_runtime.self_test import MARGIN_DB, Subject, image_fault, logit_fault, probe

__all__ = ["MARGIN_DB", "Subject", "image_fault", "logit_fault", "probe"]
