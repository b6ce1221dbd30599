"""Runs a batch of any size by a session: in parts, padded where the session wants whole buckets."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganport_runtime.backends import Session
from ganport_runtime.buckets import padded, parts

__all__ = ["run_batch", "run_part"]


def run_part(session: Session, outputs: Sequence[str], batch: NDArray[Any]) -> list[NDArray[Any]]:
    """The named outputs of a batch of 1 to `TOP`."""
    name = session.inputs[0].name
    if not session.pads_to_bucket:
        return session.run(outputs, {name: batch})
    return [array[: len(batch)] for array in session.run(outputs, {name: padded(batch)})]


def run_batch(session: Session, output: str, batch: NDArray[Any]) -> NDArray[Any]:
    """One output of a batch of any size, 1 or more."""
    return np.concatenate([run_part(session, (output,), batch[part])[0] for part in parts(len(batch))])
