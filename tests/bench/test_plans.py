"""Plans as systems: which there are, their settings, and that they make what users get."""

from pathlib import Path

import numpy as np
import pytest
from ganport_bench.baselines import SystemUnderTest
from ganport_bench.plans import as_opened, plans_of
from ganport_runtime import Bundle, Generator, latents
from ganport_runtime.tuning.record import Budget, MeasuredPlan, TuningRecord

from tests.support.bundles import make_variety, make_weights

ENTRIES = ("generator-deconv-fp32", "generator-phase-fp32", "generator-phase-int8")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANPORT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def variety(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two forms of fp32 and a real int8."""
    return make_variety(tmp_path_factory.mktemp("plans") / "variety.ganport", make_weights())


def named(bundle: Path, name: str, record: TuningRecord | None = None) -> SystemUnderTest:
    return next(plan for plan in plans_of(Bundle.open(bundle), record) if plan.name == name)


def test_every_entry_runs_on_every_backend_at_every_precision_or_says_why_not(variety: Path) -> None:
    plans = plans_of(Bundle.open(variety))
    names = [plan.name for plan in plans]
    assert len(set(names)) == len(names)
    for entry in ENTRIES:
        assert {f"{entry}, onnxruntime", f"{entry}, openvino", f"{entry}, tensorrt, cuda"} <= set(names)
    assert {name for name in names if "bf16" in name} == {f"{entry}, openvino in bf16" for entry in ENTRIES[:2]}
    reasons = {plan.name: plan.refusal() for plan in plans}
    assert reasons["generator-deconv-fp32, onnxruntime"] is None
    assert "tensorrt" in str(reasons["generator-deconv-fp32, tensorrt, cuda"])


def test_the_settings_of_a_plan_are_the_options_that_keep_its_precision(variety: Path) -> None:
    float32, bfloat16, int8 = (
        [options.get("precision_hint") for options in named(variety, name).settings(8)]
        for name in (f"{ENTRIES[0]}, openvino", f"{ENTRIES[0]}, openvino in bf16", f"{ENTRIES[2]}, openvino")
    )
    assert set(float32) == {"f32"}
    assert set(bfloat16) == {"bf16"}
    assert set(int8) == {"f32", "bf16"}, "the hint is for its float layers"


def test_what_tuning_measured_spares_the_other_settings(variety: Path) -> None:
    entry = ENTRIES[0]

    def plan(speed: float, backend: str = "openvino", **options: str) -> MeasuredPlan:
        return MeasuredPlan(entry, backend, "cpu", options, "fp32", {8: speed}, 99.0, 90.0, 1, 64)

    slow, fast = {"precision_hint": "f32"}, {"precision_hint": "f32", "threads": "1"}
    plans = (
        plan(100, **slow),
        plan(300, **fast),
        plan(900, precision_hint="bf16"),
        plan(800, backend="onnxruntime", threads="1"),
    )
    record = TuningRecord("0" * 64, "b", "generator", "now", Budget(), {}, {}, plans)
    openvino = named(variety, f"{entry}, openvino", record)
    assert openvino.settings(8) == (fast,)
    assert openvino.settings(1) == named(variety, f"{entry}, openvino").settings(1)[:1], "nothing measured there"
    session = openvino.open(openvino.settings(1)[0], 1)
    assert "default options" in session.note
    session.close()
    assert named(variety, f"{entry}, onnxruntime", record).settings(8) == ({"threads": "1"},)


def test_a_plan_makes_the_images_that_its_bundle_promises(variety: Path) -> None:
    z = latents(3, 0, 8, 12)
    expected = np.clip(np.rint(make_weights().images(z)), 0, 255).astype(int)
    for name in (f"{ENTRIES[1]}, onnxruntime", f"{ENTRIES[1]}, openvino"):
        plan = named(variety, name)
        session = plan.open(plan.settings(8)[0], 8)
        assert session.precision == "fp32"
        assert np.abs(session.run(z) - expected).max() <= 1
        session.close()


def test_as_opened_is_what_users_get(variety: Path) -> None:
    system = as_opened(variety)
    (settings,) = system.settings(8)
    session = system.open(settings, 8)
    z = latents(3, 0, 8, 12)
    with Generator.open(variety) as generator:
        np.testing.assert_array_equal(session.run(z), generator(z))
        assert session.note == str(generator.plans[8])
    assert "not tuned" in session.note
    session.close()


def test_a_batch_larger_than_the_top_bucket_runs_as_that_bucket_does(variety: Path) -> None:
    plan, opened = named(variety, f"{ENTRIES[0]}, onnxruntime"), as_opened(variety)
    assert plan.settings(128) == plan.settings(64)
    for session in (plan.open(plan.settings(128)[0], 128), opened.open({}, 128)):
        assert session.run(latents(0, 0, 128, 12)).shape == (128, 16, 16, 3)
        session.close()
