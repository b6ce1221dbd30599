import json
from pathlib import Path

import overhead
import pytest
from ganport_bench.figures import Figure
from ganport_bench.timing import Estimate


def test_opening_and_sampling_are_measured_on_a_given_bundle(bundle: Path) -> None:
    opening = overhead.opening(bundle, 3)
    assert (opening.name, opening.unit, opening.wanted, opening.is_floor) == ("open", "x", 1.2, False)
    assert opening.details["model_bytes"] == (bundle / "generator.onnx").stat().st_size
    assert opening.estimate is not None
    assert opening.estimate.low > 0
    large, one, new_seed = overhead.sampling(bundle, 3, 3)
    assert [(figure.name, figure.unit) for figure in (large, one, new_seed)] == [
        ("sample_64", "%"),
        ("sample_1", "us"),
        ("sample_1_new_seed", "us"),
    ]
    assert large.details["ganport_images_per_second"] > 0  # type: ignore[operator]
    assert one.details["bare_us"] > 0  # type: ignore[operator]


@pytest.mark.slow
def test_imports_are_timed_in_fresh_interpreters(capsys: pytest.CaptureFixture[str]) -> None:
    assert overhead.main(["--only", "import", "--quick", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    (figure,) = document["figures"]
    assert (figure["wanted"], figure["is_floor"]) == (20, False)
    assert figure["details"]["numpy_ms"] > 1
    assert document["is_quick"] is True
    assert document["machine"]["packages"]["numpy"]
    assert "import ganport_runtime, over import numpy alone" in err


@pytest.mark.parametrize(("load", "is_busy"), [(0.1, False), (3.0, True)])
def test_the_load_of_a_busy_machine_is_shown(
    load: float, is_busy: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    figure = Figure("import", "importing", "ms", Estimate(1, 1, 1), 20, is_floor=False)
    monkeypatch.setattr(overhead, "importing", lambda _rounds: figure)
    assert overhead.main(["--only", "import"]) == 0
    assert (f"load {load}" in capsys.readouterr().err) is is_busy


def test_an_interrupt_takes_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(rounds: int) -> Figure:
        raise KeyboardInterrupt

    monkeypatch.setattr(overhead, "importing", interrupted)
    assert overhead.main(["--only", "import"]) == 130
    assert capsys.readouterr().err.strip() == "overhead: interrupted"


def test_a_missing_bundle_takes_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert overhead.main(["--only", "open", "--bundle", str(tmp_path / "none.ganport")]) == 1
    out, err = capsys.readouterr()
    (line,) = [line for line in err.splitlines() if line.strip()]
    assert out == ""
    assert line.startswith("overhead: ")
    assert "none.ganport is missing" in line
