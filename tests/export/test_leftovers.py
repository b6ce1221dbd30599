"""What an export that was killed left beside its bundle goes with the next one; what is in use stays."""

import signal
import subprocess
import sys
from pathlib import Path

from ganport_export.aside import OLD, PARTIAL, hidden_folder, remove_leftovers

KILLED = """
import os, signal, sys
from pathlib import Path
from ganport_export.aside import hidden_folder
path = Path(sys.argv[1])
with hidden_folder(path, sys.argv[2]) as folder:
    (folder / path.name).mkdir()
    (folder / path.name / "graph").write_bytes(b"graph")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def leave(path: Path, suffix: str) -> Path:
    """Have a process killed while it writes aside; the folder that it leaves."""
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), suffix], check=False)
    assert killed.returncode == -signal.SIGKILL
    (folder,) = path.parent.glob(f".{path.name}.*.{suffix}")
    return folder


def remove(path: Path) -> list[str]:
    notes: list[str] = []
    remove_leftovers(path, notes.append)
    return notes


def test_a_killed_exports_folder_is_removed_and_said(tmp_path: Path) -> None:
    folder = leave(tmp_path / "b", PARTIAL)
    assert remove(tmp_path / "b") == [f"removed {folder}, left by an export that was killed"]
    assert list(tmp_path.iterdir()) == []


def test_folders_in_use_and_of_other_names_stay(tmp_path: Path) -> None:
    for name in (".b.c.12345678.partial", ".b.12345678.partial.txt", "b.12345678.partial"):
        (tmp_path / name).mkdir()
    before = sorted(tmp_path.iterdir())
    with hidden_folder(tmp_path / "b", PARTIAL) as folder:
        assert remove(tmp_path / "b") == []
        assert folder.is_dir()
    assert sorted(tmp_path.iterdir()) == before


def test_a_bundle_moved_aside_is_kept_while_it_is_the_only_one(tmp_path: Path) -> None:
    folder = leave(tmp_path / "b", OLD)
    assert remove(tmp_path / "b") == [f"{folder} holds the bundle that an export which was killed was to replace"]
    assert (folder / "b" / "graph").read_bytes() == b"graph"
    (tmp_path / "b").mkdir()
    assert len(remove(tmp_path / "b")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_bundle_that_cannot_be_put_back_is_not_deleted(tmp_path: Path) -> None:
    with hidden_folder(tmp_path / "b", OLD) as folder:
        (folder / "b").mkdir()
    assert (folder / "b").is_dir()
