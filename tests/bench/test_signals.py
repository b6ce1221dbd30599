"""OpenVINO's plugins leave stacks for signals behind that are gone where a process has had more than one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bundles import make_bundle, make_weights

pytest.importorskip("openvino")

MEASURED = """
import os, signal, sys
from pathlib import Path

from ganport_bench.baselines.openvino import baselines
from ganport_bench.nodes import executed_by_openvino
from ganport_bench.peaks import measure_peaks
from ganport_runtime import Generator, latents

bundle, graph = Path(sys.argv[1]), Path(sys.argv[2])
with Generator.open(bundle, backend="openvino") as generator:
    measure_peaks(rounds=1, turn_seconds=0.01, shapes=[(64, 64, 64)])
    [one.refusal() for one in baselines(None)]
    executed_by_openvino(graph.read_bytes(), {}, latents(0, 0, 1, generator.latent_dim))
measure_peaks(rounds=1, turn_seconds=0.01, shapes=[(64, 64, 64)])
signal.signal(signal.SIGINT, lambda *_: print("heard"))
os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.slow
def test_ctrl_c_is_heard_whatever_was_measured_before(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "tiny.ganport", make_weights())
    graph = next(bundle.glob("generator-*-fp32.onnx"))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(bundle), str(graph)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr
