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
    with pytest.raises(FileExistsError), new_folder(path):
        pass
    assert path.is_dir()
    assert len(list(tmp_path.iterdir())) == 1
