"""What replicas take of a cluster, what a configuration file may say, and errors as values."""

import pickle
import warnings
from typing import Any, cast

import pytest
from ganport_runtime import BundleError, ClosedError, InputError, PlanError
from ganport_runtime.serving import DeadlineError, QueueFullError
from ganport_serve.bundles import Options
from ganport_serve.errors import NotReadyError, ServeError, UnknownModelError
from ganport_serve.ray_engine import environment
from ganport_serve.ray_engine.values import ErrorValue, error_of_text
from ganport_serve.settings import Settings

environment.prepare()
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    pytest.importorskip("ray.serve", reason="ray is not installed: pip install 'ganport[ray]'")
    from ganport_serve.ray_engine.application import APPLICATION, DEPLOYMENT, Needs, build, needs_of


@pytest.mark.parametrize(
    ("options", "replicas", "cluster", "wanted"),
    [
        (Options(), 1, (2, 2, 0), Needs(2, 0, None)),  # alone on its machine: the plan decides
        (Options(), 2, (2, 2, 0), Needs(1, 0, 1)),
        (Options(), 3, (2, 2, 0), Needs(0.66, 0, 1)),
        (Options(), 3, (16, 8, 0), Needs(5, 0, 5)),
        (Options(), 2, (64, 8, 0), Needs(8, 0, None)),
        (Options(threads=2), 3, (16, 8, 0), Needs(2, 0, 2)),
        (Options(threads=4), 2, (2, 2, 0), Needs(1, 0, 4)),
        (Options(), 2, (16, 8, 4), Needs(8, 1, None)),
        (Options(), 4, (16, 16, 1), Needs(4, 0.25, 4)),
        (Options(device="cpu"), 4, (16, 16, 1), Needs(4, 0, 4)),
        (Options(device="cuda"), 2, (16, 8, 0), Needs(8, 1, None)),  # Ray waits for a GPU, or an autoscaler brings it
    ],
)
def test_replicas_share_what_there_is(
    options: Options, replicas: int, cluster: tuple[float, float, float], wanted: Needs
) -> None:
    assert needs_of(options, replicas, *cluster) == wanted


def test_builds_the_application_of_a_configuration_file() -> None:
    bound = build({"bundle": "/bundles/emoji.ganport", "threads": 2, "device": "cuda", "max_delay": 0.004})
    deployment = bound._bound_deployment
    assert (APPLICATION, deployment.name) == ("ganport", DEPLOYMENT)
    assert deployment.user_config == {"bundle": "/bundles/emoji.ganport"}
    assert deployment.ray_actor_options == {"num_cpus": 2.0, "num_gpus": 1.0}
    settings, options = cast(tuple[Settings, dict[str, Any]], deployment.init_args)
    assert settings.max_delay == 0.004
    assert options == {"device": "cuda", "precision": "auto", "backend": "auto", "threads": 2}


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ({}, "no bundle"),
        ({"bundle": 7}, "no bundle"),
        ({"bundle": "b", "replicas": 2}, "'replicas'"),
        ({"bundle": "b", "device": "tpu"}, "device is 'tpu'"),
        ({"bundle": "b", "threads": 0}, "threads is 0"),
    ],
)
def test_refuses_what_is_no_argument(args: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        build(args)


@pytest.mark.parametrize(
    "error",
    [
        InputError("a"),
        QueueFullError("b", 0.25),
        DeadlineError("c"),
        PlanError("d"),
        BundleError("e"),
        UnknownModelError("f"),
        NotReadyError("g", 7.0),
    ],
)
def test_errors_cross_as_they_are(error: Exception) -> None:
    crossed = pickle.loads(pickle.dumps(ErrorValue.of(error))).error()
    assert type(crossed) is type(error)
    assert str(crossed) == str(error)
    assert getattr(crossed, "retry_after", None) == getattr(error, "retry_after", None)


def test_a_closed_replica_is_worth_another_try_and_an_unknown_error_is_named() -> None:
    assert isinstance(ErrorValue.of(ClosedError("closed")).error(), NotReadyError)
    unknown = ErrorValue.of(KeyError("x")).error()
    assert type(unknown) is ServeError
    assert "KeyError: 'x'" in str(unknown)


def test_reads_why_a_replica_did_not_start() -> None:
    text = "It failed:\nTraceback (most recent call last):\n  File x\nganport_runtime.errors.PlanError: no GPU\n"
    assert isinstance(error_of_text(text), PlanError)
    assert str(error_of_text(text)) == "no GPU"
    assert "out of memory" in str(error_of_text("Ray says: out of memory"))
