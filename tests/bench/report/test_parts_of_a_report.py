"""What a page is built of: escaped text, the Pareto front, figures in its colors, LoadGen's logs beside it."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from ganport_bench.errors import BenchError
from ganport_bench.report import check_folder, write_report
from ganport_bench.report.figures.fidelity import front_of
from ganport_bench.report.html import joined, reasons, tag
from ganport_bench.report.rows import Row
from hypothesis import given
from hypothesis import strategies as st

MACHINE = {"cpu": "a processor", "cores": 2, "system": "Linux", "packages": {"numpy": "2.0"}}


def row(rate: float, psnr: float | None, *, is_right: bool = True) -> Row:
    facts: dict[str, Any] = {"system": f"{rate} {psnr}", "kind": "plan", "precision": "int8", "batch": 1}
    facts |= {"images_per_second": rate, "low": rate, "high": rate, "latency_ms": {"p50": 1.0, "p99.9": None}}
    return Row.read(facts | {"psnr_db": psnr, "correct": is_right, "share_of_ceiling": None})


def load() -> dict[str, Any]:
    """Of a server: one rate that was held, one that was not, one that is void, and a wrong one."""
    answers = {"answered_per_second": 99.0, "latency_ms": {"p50": 2.0, "p90": 3.0}, "refused": 0, "correct": True}
    rate = answers | {"arrivals": "poisson", "share_of_capacity": 0.5, "in_time": 1.0, "void": False, "note": "fine"}
    knee = {"held_per_second": 100.0, "failed_per_second": 300.0}
    return {
        "target": "ganport serve x", "system": "ganport serve", "facts": {"plan": "p"}, "judged": "by bytes",
        "knee": {"definition": "some", "bound_ms": 9.0, "poisson": knee},
        "rates": [
            rate | {"offered_per_second": 100.0, "held": True}, rate | {"offered_per_second": 300.0, "held": False},
            rate | {"offered_per_second": 400.0, "held": False, "void": True, "note": "VOID: late"},
        ],
        "concurrency": [
            answers | {"concurrency": 1, "is_stable": False, "checked": 9, "correct": False, "note": "3 x other bytes"}
        ],
        "something new": 1,
    }  # fmt: skip


def document(**parts: Any) -> dict[str, Any]:
    return {"format": 2, "machine": MACHINE, "model": {"run": None, "bundle": "some.ganport"}, **parts}


@given(st.text(max_size=30))
def test_text_is_escaped_whatever_it_holds(text: str) -> None:
    made = tag("td", text, title=text)
    assert re.fullmatch(r'<td title="[^"<>]*">[^<>]*</td>', made, re.DOTALL)
    assert joined((made, f"{made}")).count("<td") == 1, "what was formatted is text again"


def test_a_reason_is_said_once() -> None:
    assert reasons({"a": "no GPU", "b": "no disk", "c": "no GPU"}).count("<li>") == 2


@given(st.lists(st.tuples(st.floats(1, 1e4), st.none() | st.floats(20, 100), st.booleans()), max_size=12))
def test_nobody_beats_who_is_on_the_front(found: list[tuple[float, float | None, bool]]) -> None:
    rows = [row(rate, psnr, is_right=is_right) for rate, psnr, is_right in found]
    front = front_of(rows)
    assert all(one.is_right for one in front)
    assert bool(front) == any(one.is_right for one in rows)
    for one in front:
        assert not [other for other in rows if other.is_right and other.rate.value > one.rate.value
                    and (other.psnr_db or 0) > (one.psnr_db or 0)]  # fmt: skip


def test_a_server_alone_is_shown_with_what_was_wrong_and_void(tmp_path: Path) -> None:
    page = write_report(document(load=load(), skipped={"speed": "no time"}), tmp_path / "report")
    text = page.read_text("utf-8")
    for wanted in ("WRONG: 3 x other bytes", "VOID: late", "100 requests/s held", "Not measured: no time", "UNSTABLE"):
        assert wanted in text
    assert "it was not asked for" in text
    assert {path.name for path in (page.parent / "figures").iterdir()} == {
        "latency-under-load.png", "latency-under-load.svg"
    }  # fmt: skip


def test_figures_in_the_page_take_its_colors_and_as_files_their_own(tmp_path: Path) -> None:
    page = write_report(document(load=load()), tmp_path / "report")
    svg = page.read_text("utf-8").partition("<figure>")[2].partition("</figure>")[0]
    assert "fill: var(--ink)" in svg
    assert "#222222" not in svg
    assert "var(--" not in (page.parent / "figures" / "latency-under-load.svg").read_text("utf-8")
    ids = re.findall(r'\bid="([^"]+)"', page.read_text("utf-8"))
    assert len(ids) == len(set(ids))


def test_logs_that_lie_there_stay_with_the_scenarios_that_they_are_of(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    (folder / "loadgen").mkdir(parents=True)
    (folder / "loadgen" / "log.txt").write_text("said")
    check_folder(folder)
    write_report(document(skipped={"scenarios": "it failed"}), folder)
    assert (folder / "loadgen" / "log.txt").read_text() == "said"
    write_report(document(), folder)
    assert {path.name for path in folder.iterdir()} == {"index.html", "figures", "results.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_report_that_cannot_take_its_place_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "report"
    write_report(document(), folder)
    (folder / "loadgen").mkdir()
    (folder / "loadgen" / "log.txt").write_text("said")
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    real = Path.replace

    def last_fails(source: Path, target: Path) -> Path:
        if target == folder and "earlier" not in source.name:
            raise OSError(16, "Device or resource busy")
        return real(source, target)

    monkeypatch.setattr(Path, "replace", last_fails)
    with pytest.raises(BenchError, match=r"busy\): the new one is .*/\.report\.partial$"):
        write_report(document(skipped={"scenarios": "it failed"}), folder)
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"report", ".report.partial"}
    monkeypatch.undo()
    write_report(document(skipped={"scenarios": "it failed"}), folder)
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_what_cannot_even_be_put_back_is_kept_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "report"
    write_report(document(), folder)
    (folder / "loadgen").mkdir()
    (folder / "loadgen" / "log.txt").write_text("said")
    real = Path.replace

    def only_away(source: Path, target: Path) -> Path:
        if target in (folder, folder / "loadgen"):
            raise OSError(5, "Input/output error")
        return real(source, target)

    monkeypatch.setattr(Path, "replace", only_away)
    moved = r"\S+/\.report\.earlier\.partial cannot be put back, and \S+/loadgen cannot be put back"
    with pytest.raises(BenchError, match=rf"the new one is \S+/\.report\.partial, and {moved}"):
        write_report(document(skipped={"scenarios": "it failed"}), folder)
    assert (tmp_path / ".report.partial" / "loadgen" / "log.txt").read_text() == "said"
    monkeypatch.undo()
    check_folder(folder)
    assert (folder / "index.html").is_file(), "the next run gives the earlier report its name again"


def test_a_folder_that_cannot_be_replaced_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    (tmp_path / "file").write_text("mine")
    for place, said in (("link", "is a mount point"), ("file/report", "file is a file; name another")):
        with pytest.raises(BenchError, match=said):
            check_folder(tmp_path / place)


def test_a_report_without_what_draws_its_figures_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BenchError, match="matplotlib, which draws them, is missing"):
        check_folder(tmp_path / "report")


def test_a_page_of_someone_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<title>my site</title>")
    with pytest.raises(BenchError, match="is of something else than ganport bench"):
        write_report(document(), tmp_path)
    assert (tmp_path / "index.html").read_text() == "<title>my site</title>"
