"""What state.json says of a checkpoint, checked field by field when it is read."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganport_train.errors import CheckpointError

FORMAT = 1
SCORE = "frechet_distance"  # lower is better
REMEDY = "restore it, or delete its checkpoint's folder to go on from the one before"


@dataclass(frozen=True)
class CheckpointState:
    """What state.json says of a checkpoint."""

    step: int
    scores: Mapping[str, float]
    config_digest: str
    data_digest: str
    versions: Mapping[str, str]
    format: int = FORMAT
    files: Mapping[str, str] | None = None  # SHA-256 by file name; None: written before digests were recorded


def read_state(folder: Path) -> CheckpointState:
    """What state.json of a checkpoint says; raises `CheckpointError` where it is damaged."""
    path = folder / "state.json"
    document = read_json(path, REMEDY)
    if document.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format {document.get('format')} is not {FORMAT}: use the ganport that wrote it")
    names = {field.name for field in dataclasses.fields(CheckpointState)}
    if document.keys() | {"files"} != names:
        raise CheckpointError(f"{path}: is no state of a checkpoint: {REMEDY}")
    if wrong := [name for name, value in document.items() if not _fits(name, value)]:
        raise CheckpointError(f"{path}: {', '.join(wrong)} cannot be what a checkpoint has there: {REMEDY}")
    return CheckpointState(**document)


def _fits(name: str, value: Any) -> bool:
    if name in ("step", "format"):
        return type(value) is int and value >= 0
    if name in ("config_digest", "data_digest"):
        return isinstance(value, str)
    if name == "scores":
        return isinstance(value, dict) and SCORE in value and all(map(_is_finite, value.values()))
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())  # versions, files


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def read_json(path: Path, remedy: str) -> dict[str, Any]:
    """The JSON object in a file; raises `CheckpointError`, which ends with `remedy`."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: cannot be read ({error}): {remedy}") from None
    if not isinstance(document, dict):
        raise CheckpointError(f"{path}: holds no JSON object: {remedy}")
    return document
