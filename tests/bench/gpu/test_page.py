"""The sections of the page."""

import pytest
from ganport_bench.baselines import TRANSFERS
from ganport_bench.gpu.__main__ import PAGE, ROOT
from ganport_bench.gpu.failure import GpuError
from ganport_bench.gpu.outcome import Outcome
from ganport_bench.gpu.page import SECTIONS, check_places, fill

from tests.bench.gpu.documents import DOCUMENT

TESTS = Outcome(40, 0, {"no TensorRT": 2})
EMPTY = "# A page\n\n" + "\n\nwords\n\n".join(f"<!-- bench: {name} -->\n<!-- /bench -->" for name in SECTIONS)


def test_the_page_holds_machine_tests_rows_and_what_did_not_run() -> None:
    text = fill(EMPTY, DOCUMENT, TESTS, 2000)
    assert "\nMeasured 2026-12-01 by `make gpu`.\n" in text
    assert (
        "- GPU: NVIDIA L4, 24 GiB, compute capability 8.9, driver 580.65, power limit 72 W, during the run held back "
        "for 2.5 s by power, after the run idle at 1200 of 2040 MHz\n"
    ) in text
    assert "- Measured: a run of 2,000 steps\n" in text
    assert "- Tests marked `gpu`: 40 passed, 0 failed, 2 skipped (2 x no TensorRT)" in text
    lines = text.splitlines()
    assert lines.index("### Batch 1") < lines.index("### Batch 8")
    first = lines[lines.index("### Batch 8") + 4]
    assert first.startswith("| **engine** | fp16 | 1,900 | 1,890 to 1,910 | 4.21 | included |  | no: black / images |")
    assert (
        "| PyTorch CUDA graph | fp32 | 900 | 890 to 910, wide | 8.89 | none | 100.0 | yes | layout contiguous |"
        in lines
    )
    assert f"- transfers {TRANSFERS['cuda']}" in lines
    assert "- a; b: no triton" in lines
    assert "- part load: uvicorn is not installed" in lines


def test_the_page_says_of_what_little_its_figures_are() -> None:
    document = DOCUMENT | {"is_quick": True, "model": {"is_trained": False}}
    text = fill(EMPTY, document, TESTS, 5)
    assert "A quick run, with few rounds. Measured 2026-12-01" in text
    assert "- Measured: a run of 5 steps, hardly trained: its images are noise\n" in text
    assert "- Measured: a run of unknown length\n" in fill(EMPTY, DOCUMENT, TESTS, None)


def test_what_holds_a_gpu_back_is_told_without_idleness() -> None:
    (gpu,) = DOCUMENT["machine"]["gpus"]
    for reasons, words in (
        (["idle", "power cap"], "after the run held back by power cap"),
        (None, "at 1200 of 2040 MHz"),
    ):
        held = gpu | {"after": gpu["after"] | {"throttle_reasons": reasons}}
        text = fill(EMPTY, DOCUMENT | {"machine": DOCUMENT["machine"] | {"gpus": [held]}}, TESTS, 100)
        assert f"{words}\n" in text
        assert "by idle" not in text


def test_nothing_measured_and_nothing_missing_is_told() -> None:
    text = fill(EMPTY, DOCUMENT | {"rows": [], "missing": {}, "skipped": {}}, TESTS, 100)
    assert "No speed was measured." in text
    assert "Everything ran." in text


def test_the_projects_own_page_keeps_its_words_and_can_be_filled_again() -> None:
    before = (ROOT / "docs" / PAGE).read_text("utf-8")
    check_places(before)
    first = fill(before, DOCUMENT, TESTS, 100)
    assert "a run of 100 steps" in first
    assert "Nothing has been measured" not in first
    for words in ("## Without an index", "pip install --no-index", "make gpu WHEELS=wheels", "gpu.txt"):
        assert words in first
    assert fill(first, DOCUMENT, TESTS, 100) == first


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        (EMPTY.replace("gpu speed", "speed"), "has no line <!-- bench: gpu speed -->"),
        (EMPTY.removesuffix("<!-- /bench -->"), "the place for 'gpu missing' has no end"),
    ],
)
def test_a_page_without_a_place_is_refused_before_anything_is_measured(page: str, reason: str) -> None:
    with pytest.raises(GpuError, match=f"^docs/gpu-results.md.*{reason}"):
        check_places(page)
