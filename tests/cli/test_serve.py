"""`ganport serve`: what it prints, what it refuses, and how it ends."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Ganport
from tests.support.bundles import (
    Weights,
    discriminator_graph,
    generator_graph,
    int8_generator_graph,
    make_bundle,
    make_manifest,
    make_weights,
    write_manifest,
    write_variant,
)
from tests.support.http_client import HOST, are_images, ask, connected, generate, images_of
from tests.support.serving import serving


def serve(*words: object, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A command line that ends by itself."""
    command = [sys.executable, "-m", "ganport_cli", "serve", *map(str, words)]
    values = {name: value for name, value in os.environ.items() if name != "GANPORT_TOKEN"} | environment
    return subprocess.run(command, capture_output=True, text=True, env=values, timeout=60, check=False)


def test_it_prints_where_it_listens_once_it_is_ready(bundle: Path, weights: Weights) -> None:
    with serving(bundle) as server:
        document = server.document
        assert list(document) == ["url", "grpc", "bundle", "digest", "plans", "pid"]
        assert document["url"] == f"http://{HOST}:{server.port}"
        assert document["pid"] == server.process.pid
        assert document["bundle"] == str(bundle)
        assert set(document["plans"]) == {"generator", "discriminator"}
        assert all("threads 1" in plan for plan in document["plans"].values())
        assert ask(server.port, "GET", "/v2/health/ready").status == 200
        assert are_images(images_of(generate(server.port, 11, 2)), weights, 11, 2)
        assert document["digest"] == ask(server.port, "GET", "/v1/status").document["bundle"]["digest"]
        with connected(int(document["grpc"].rpartition(":")[2])):
            pass
        assert server.stop() == 0


def test_options_reach_the_server(tmp_path: Path, weights: Weights) -> None:
    """The precision is the generator's; a discriminator that has another one only runs in that, and the log says so."""
    path = tmp_path / "mixed.ganport"
    path.mkdir()
    variants = [
        write_variant(path, "generator", generator_graph(weights)),
        write_variant(path, "generator", int8_generator_graph(weights), precision="int8"),
        write_variant(path, "discriminator", discriminator_graph(weights)),
    ]
    write_manifest(path, make_manifest(weights, variants).to_json())
    words = ("--no-grpc", "--max-count", 3, "--precision", "int8", "--backend", "onnxruntime", "--max-body-mb", 0.002)
    with serving(path, *words) as server:
        assert server.document["grpc"] is None
        assert "int8" in server.document["plans"]["generator"]
        assert "fp32" in server.document["plans"]["discriminator"]
        (warning,) = [event for event in server.events() if event["level"] == "warning"]
        assert warning["event"] == "the discriminator does not run as asked"
        assert warning["asked"]["precision"] == "int8"
        assert "fp32" in warning["plan"]
        assert generate(server.port, 1, 3).status == 200
        assert generate(server.port, 1, 4).status == 400
        assert ask(server.port, "POST", "/v1/scores", b" " * 3000).status == 413


def test_a_short_queue_bounds_the_images_of_a_request(bundle: Path) -> None:
    with serving(bundle, "--no-grpc", "--max-queue", 5) as server:
        assert ask(server.port, "GET", "/v1/status").document["limits"] == {"max_count": 5}
        assert generate(server.port, 1, 5).status == 200
        assert generate(server.port, 1, 6).status == 400


def test_it_ends_at_once_while_it_starts(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "large.ganport", make_weights(latent_dim=512, image=(96, 96, 3)))
    command = [sys.executable, "-m", "ganport_cli", "serve", str(bundle), "--port", "0", "--no-grpc"]
    with subprocess.Popen([*command, "--log-format", "json"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert json.loads(process.stderr.readline())["event"] == "listening"
        process.send_signal(signal.SIGTERM)
        events = [json.loads(line)["event"] for line in process.stderr]
        assert process.wait(60) == 0
    assert events == ["draining", "stopped"]


def test_signals_that_come_while_it_is_imported_are_heeded(bundle: Path) -> None:
    """SIGHUP has nothing to load again yet; SIGTERM ends it as it would later."""
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'ganport_serve.server':\n"
        "            os.kill(os.getpid(), signal.SIGHUP)\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from ganport_cli import main\n"
        "main()\n"
    )
    words = ["serve", str(bundle), "--port", "0", "--no-grpc", "--json", "--log-format", "json"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert [json.loads(line)["event"] for line in done.stderr.splitlines()] == ["listening", "draining", "stopped"]


def test_signals_mean_afterwards_what_they_meant_before(tmp_path: Path, ganport: Ganport) -> None:
    numbers = (signal.SIGHUP, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    assert ganport("serve", tmp_path / "absent.ganport").exit_code == 1
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--port", "taken", "--no-grpc"), "name another --host or --port"),
        (("--port", 0, "--grpc-port", "taken"), "name another --host or --grpc-port, or --no-grpc"),
    ],
)
def test_a_port_that_is_taken_is_one_line(bundle: Path, words: tuple[object, ...], remedy: str) -> None:
    with socket.create_server((HOST, 0)) as other:
        port = other.getsockname()[1]
        done = serve(bundle, *(port if word == "taken" else word for word in words))
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1
    protocol = "gRPC" if "--grpc-port" in words else "HTTP"
    assert line == (
        f"ganport serve: {protocol} cannot listen at {HOST}:{port}: {os.strerror(errno.EADDRINUSE)}; {remedy}"
    )


def test_a_bundle_with_an_altered_graph_ends_it(tmp_path: Path, weights: Weights) -> None:
    bundle = make_bundle(tmp_path / "altered.ganport", weights)
    (bundle / "generator-deconv-fp32.onnx").write_bytes(b"another")
    done = serve(bundle, "--port", 0, "--no-grpc", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    line = done.stderr.splitlines()[-1]
    assert line.startswith("ganport serve: ")
    assert "generator-deconv-fp32.onnx" in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--engine", "cloud"), "wanted local or ray"),
        (("--replicas", 2), "--engine ray"),
        (("--replicas", 0), "replicas"),
        (("--log-format", "xml"), "json or text"),
        (("--max-count", 2000), "lower --max-count or raise --max-queue"),
        (("--port", 8990, "--grpc-port", 8990), "--port and --grpc-port are both 8990"),
        (("--port", 8001), "--port and --grpc-port are both 8001"),
        (("--max-delay-ms", "nan"), "max-delay-ms"),
        (("--max-delay-ms", -1), "max-delay-ms"),
        (("--request-timeout", "inf"), "timeout"),
        (("--port", 70_000), "port"),
        (("--precision", "fp12"), "precision"),
        (("--device", "tpu"), "device"),
        (("--threads", 0), "threads"),
    ],
)
def test_wrong_options_are_bad_usage(bundle: Path, ganport: Ganport, words: tuple[object, ...], said: str) -> None:
    outcome = ganport("serve", bundle, *words)
    assert outcome.exit_code == 2
    assert said in outcome.last_line
    assert not outcome.stdout


@pytest.mark.parametrize("token", ["", "two words", "tab\t", "ö"])
def test_a_token_that_no_header_can_hold_is_refused(
    bundle: Path, ganport: Ganport, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("GANPORT_TOKEN", token)
    outcome = ganport("serve", bundle)
    assert outcome.exit_code == 2
    assert "GANPORT_TOKEN" in outcome.last_line
    assert not token or token not in outcome.last_line


def test_help_and_start_load_no_other_engine(bundle: Path) -> None:
    code = (
        "import sys, ganport_serve.server, ganport_serve.bundles\n"
        "from ganport_cli.app import run; run(['serve', '--help'])\n"
        "sys.exit(bool({'ray', 'torch', 'onnx', 'tritonserver'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
