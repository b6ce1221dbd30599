import json
from pathlib import Path

import pytest
from ganport_bench.overhead import __main__ as overhead
from ganport_bench.overhead import importing
from ganport_bench.overhead.figure import Figure
from ganport_bench.timing import Estimate

TINY = overhead.Effort(imports=2, openings=3, samples_64=3, samples_1=3, blocks=1, images=1000)


def test_opening_and_sampling_are_measured_on_a_given_bundle(bundle: Path, tmp_path: Path) -> None:
    figures = overhead.measure(["open", "sample"], bundle, TINY, tmp_path, lambda _step: None)
    assert [(figure.name, figure.unit, figure.target) for figure in figures] == [
        ("open", "x", 1.2),
        ("sample_64", "%", 3.0),
        ("sample_1", "us", 60.0),
        ("sample_1_new_seed", "us", 60.0),
    ]
    opening, large, one, _new_seed = figures
    assert opening.details["model_bytes"] == (bundle / "generator.onnx").stat().st_size
    assert opening.estimate.low > 0
    assert large.details["ganport_images_per_second"] > 0  # type: ignore[operator]
    assert one.details["bare_us"] > 0  # type: ignore[operator]


def test_imports_are_timed_in_fresh_interpreters(capsys: pytest.CaptureFixture[str]) -> None:
    assert overhead.main(["--only", "import", "--quick", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    (figure,) = document["figures"]
    assert figure["target"] == 20
    assert figure["details"]["numpy_ms"] > 1
    assert document["is_quick"] is True
    assert document["machine"]["cores"] >= 1
    assert document["machine"]["packages"]["numpy"]
    assert "import ganport_runtime, over import numpy alone" in err
    assert "Quick: few rounds" in err


def test_the_table_tells_hits_misses_and_noise_apart() -> None:
    def figure(value: float, low: float, high: float) -> Figure:
        return Figure("open", "opening", "x", Estimate(value, low, high), target=1.2)

    rows = overhead.table([figure(1, 0.9, 1.1), figure(2, 1.9, 2.1), figure(1.1, 1, 1.3), figure(1, 1, 1)])
    columns = [list(column.cells) for column in rows.columns]
    assert columns[1] == ["1.00 x", "2.00 x", "1.10 x", "1.00 x"]
    assert columns[2] == ["0.90 to 1.10", "1.90 to 2.10", "1.00 to 1.30", ""]
    assert columns[4] == ["yes", "no", "yes, within the noise", "yes"]


@pytest.mark.parametrize(("load", "is_busy"), [(0.1, False), (3.0, True)])
def test_a_busy_machine_is_spoken_of(
    load: float, is_busy: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, load, load))
    figure = Figure("import", "importing", "ms", Estimate(1, 1, 1), target=20)
    monkeypatch.setattr(importing, "measure", lambda _rounds: figure)
    assert overhead.main(["--only", "import"]) == 0
    assert (f"The machine was busy before (load {load})" in capsys.readouterr().err) is is_busy


def test_an_interrupt_takes_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(rounds: int) -> Figure:
        raise KeyboardInterrupt

    monkeypatch.setattr(importing, "measure", interrupted)
    assert overhead.main(["--only", "import"]) == 130
    assert capsys.readouterr().err.strip() == "ganport_bench.overhead: interrupted"


def test_a_missing_bundle_takes_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert overhead.main(["--only", "open", "--bundle", str(tmp_path / "none.ganport")]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = [line for line in err.splitlines() if line.strip()]
    assert line.startswith("ganport_bench.overhead: ")
    assert "none.ganport is missing" in line


def test_an_unknown_figure_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        overhead.main(["--only", "speed"])
    assert ended.value.code == 2
    assert "invalid choice" in capsys.readouterr().err
