import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ganport_runtime.atomic import new_folder, replacing_file, write_bytes


def fail_half_way(partial: Path) -> None:
    partial.write_bytes(b"ne")
    raise OSError("disk full")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "below" / "file"
    write_bytes(path, b"old")
    with pytest.raises(OSError, match="disk"), replacing_file(path) as partial:
        fail_half_way(partial)
    assert path.read_bytes() == b"old"
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file"]  # noqa: PTH208


def test_a_folder_appears_whole_and_is_replaced_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with new_folder(path) as partial:
        (partial / "a").write_text("old")
        assert not path.exists()
    with pytest.raises(FileExistsError), new_folder(path) as partial:
        (partial / "a").write_text("new")
    assert (path / "a").read_text() == "old"
    with new_folder(path, overwrite=True) as partial:
        (partial / "b").write_text("new")
    assert [entry.name for entry in path.iterdir()] == ["b"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_new_files_have_the_permissions_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "plain").write_bytes(b"")
    write_bytes(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


KILLED = """
import os, sys
from pathlib import Path
from ganport_runtime.atomic import new_folder
with new_folder(Path(sys.argv[1])) as partial:
    (partial / "half").write_text("half")
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    said: list[str] = []
    with new_folder(path, say=said.append) as first:
        assert len(said) == 1
        with new_folder(path, say=said.append) as second:
            assert first.exists()
            (second / "a").touch()
        assert len(said) == 1
        assert first.exists()
        path.rename(tmp_path / "elsewhere")
    assert path.exists()


def test_the_only_copy_of_a_replaced_folder_is_put_back(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    (tmp_path / ".folder.0123abcd.old" / "folder").mkdir(parents=True)
    said: list[str] = []
    with pytest.raises(FileExistsError), new_folder(path, say=said.append):
        pass
    assert path.is_dir()
    assert len(list(tmp_path.iterdir())) == 1
    assert len(said) == 1
    assert f"put back {path}" in said[0]


def test_only_hidden_names_of_this_folder_are_leftovers(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "b").mkdir(parents=True)
    (tmp_path / ".b.01234567.old").symlink_to(tmp_path / "elsewhere")
    for name in (".b.c.12345678.partial", ".b.12345678.partial.txt", "b.12345678.partial"):
        (tmp_path / name).mkdir()
    before = sorted(tmp_path.iterdir())
    (tmp_path / ".b.abcd_1z3.partial").mkdir()  # as versions before this module named them
    with new_folder(tmp_path / "b"):
        pass
    assert sorted(tmp_path.iterdir()) == sorted([*before, tmp_path / "b"])
    assert (tmp_path / "elsewhere" / "b").is_dir()


def test_a_folder_that_cannot_be_put_back_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "a").write_text("old")
    rename = Path.rename

    def fail(self: Path, to: Path) -> Path:
        if to == path:
            raise PermissionError(13, "Permission denied")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(PermissionError), new_folder(path, overwrite=True):
        pass
    (left,) = tmp_path.iterdir()
    assert (left / "folder" / "a").read_text() == "old"


def test_a_folder_that_is_there_is_no_failure_where_its_name_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with new_folder(tmp_path / "folder"):
        pass
    assert (tmp_path / "folder").is_dir()


def test_a_file_system_without_locks_is_written_and_its_leftovers_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    leftover = tmp_path / ".folder.0123abcd.partial"
    leftover.mkdir()
    write_bytes(tmp_path / "file", b"new")
    with new_folder(tmp_path / "folder"):
        pass
    assert (tmp_path / "file").read_bytes() == b"new"
    assert (tmp_path / "folder").is_dir()
    assert leftover.is_dir()
