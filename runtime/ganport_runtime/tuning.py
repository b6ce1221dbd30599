"""Keeps tuning records in the user's cache and finds the one that was made of a bundle on this machine."""

import json
import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from ganport_runtime.bundle import Bundle
from ganport_runtime.cache import cache_folder, write_whole
from ganport_runtime.errors import BundleError
from ganport_runtime.fields import parse_json
from ganport_runtime.tuning_record import Budget, MeasuredPlan, TuningRecord, best_overall, winners

__all__ = [
    "Budget",
    "MeasuredPlan",
    "TuningRecord",
    "best_overall",
    "find_record",
    "record_name",
    "save",
    "tuning_folder",
    "winners",
]


def tuning_folder() -> Path:
    """Where the records are.

    Raises:
        OSError: there is no home directory.
    """
    return cache_folder() / "tuning"


def record_name(bundle: Bundle, role: str, machine: Mapping[str, Any]) -> str:
    """The file's name: the role, what the bundle holds, where it lies, and the machine."""
    return f"{_prefix(bundle, role)}-{_place(bundle)}-{_short(json.dumps(machine, sort_keys=True))}.json"


def save(record: TuningRecord, bundle: Bundle) -> Path:
    """Write a record in the place of older ones of the same bundle on the same machine, and return its file.

    Raises:
        OSError: the cache folder cannot be written.
    """
    file = tuning_folder() / record_name(bundle, record.role, record.machine)
    write_whole(file, json.dumps(record.to_json(), indent=1, allow_nan=False).encode())
    for old in file.parent.glob(f"{record.role}-*-{'-'.join(file.stem.split('-')[2:])}.json"):
        if old != file:  # of what lay at the same place before it was exported again
            old.unlink(missing_ok=True)
    return file


def find_record(bundle: Bundle, role: str, machine: Callable[[], Mapping[str, Any]]) -> TuningRecord | str | None:
    """The record that was made of this bundle on this machine, why there is none that applies, or None.

    That of the bundle's own place comes before those of its copies, that of this machine before others, a newer one
    before an older one; damaged ones are left aside while an intact one remains. Where nothing was ever tuned this
    costs one listing of a folder.
    """
    try:
        folder = tuning_folder()
        names = [file.name for file in folder.iterdir()]
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"the tuning records cannot be read ({error})"
    own = [name for name in names if name.startswith(f"{_prefix(bundle, role)}-")]
    if own:
        exact = record_name(bundle, role, here := machine())
        ending = f"-{_short(json.dumps(here, sort_keys=True))}.json"
        own.sort(key=lambda name: (name == exact, name.endswith(ending), _modified(folder / name)), reverse=True)
        read = [_read(folder / name, bundle, role) for name in own]
        return next((record for record in read if isinstance(record, TuningRecord)), read[0])
    place = _place(bundle)
    if any(name.startswith(f"{role}-") and name.split("-")[2:3] == [place] for name in names):
        return "the bundle was changed since it was tuned"
    return None


def _read(file: Path, bundle: Bundle, role: str) -> TuningRecord | str:
    try:
        record = TuningRecord.from_json(parse_json(file.read_bytes()))
    except (OSError, BundleError) as error:
        return f"the tuning record {file} is damaged: {error}"
    if (record.digest, record.role) != (bundle.digest, role):
        return f"the tuning record {file} is damaged: its content is that of another bundle or network"
    return record


def _modified(file: Path) -> float:
    try:
        return file.lstat().st_mtime
    except OSError:  # removed since the folder was listed
        return 0.0


def _prefix(bundle: Bundle, role: str) -> str:
    return f"{role}-{bundle.digest[:16]}"


def _place(bundle: Bundle) -> str:
    return _short(os.path.realpath(bundle.path))


def _short(text: str) -> str:
    return sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
