"""Logs appear whole or not at all."""

from pathlib import Path

import pytest
from ganport_bench.errors import BenchError
from ganport_bench.scenarios.log_folder import log_folder


def test_new_logs_take_the_place_of_the_old_as_a_whole(tmp_path: Path) -> None:
    place = tmp_path / "logs" / "Server"
    for name in ("first", "second"):
        with log_folder(place) as folder:
            (folder / name).touch()
    assert [path.name for path in place.iterdir()] == ["second"]
    assert [path.name for path in place.parent.iterdir()] == ["Server"]


def test_a_run_that_fails_leaves_the_old_ones(tmp_path: Path) -> None:
    place = tmp_path / "Server"
    with log_folder(place) as folder:
        (folder / "old").touch()
    with pytest.raises(IsADirectoryError), log_folder(place) as folder:
        folder.write_text("half")
    assert [path.name for path in place.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["Server"]


@pytest.mark.parametrize("where", ["Server", "file/Server"])
def test_a_place_that_cannot_be_is_named(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "Server").touch()
    with pytest.raises(BenchError, match="Server"), log_folder(tmp_path / where):
        pytest.fail("nothing is to be measured")
