from pathlib import Path

import numpy as np
import pytest
from ganport_bench.errors import BenchError
from ganport_bench.peers import peers_of
from ganport_bench.peers.bundle_source import BundleSource
from ganport_bench.peers.source import NetworkSource
from ganport_bench.speed.judge import Judge
from ganport_bench.speed.selection import choose
from ganport_export import export_run
from ganport_runtime import latents

from tests.support.bundles import Weights, add_probe, make_bundle, make_weights
from tests.support.tiny_run import QUICKEST, make_tiny_run


@pytest.fixture(scope="module")
def weights() -> Weights:
    return make_weights()


@pytest.fixture
def bundle(tmp_path: Path, weights: Weights) -> Path:
    return add_probe(make_bundle(tmp_path / "tiny.ganport", weights), weights)


def test_the_reference_is_the_fp32_variant_compared_with_the_probe(bundle: Path, weights: Weights) -> None:
    source = BundleSource.of_bundle(bundle)
    z, pixels = source.reference(seed=4, count=70)
    np.testing.assert_array_equal(z, latents(4, 0, 70, 12))
    assert np.abs(pixels - weights.images(z)).max() < 0.51
    assert source.standard.startswith("generator-deconv-fp32 by onnxruntime on cpu; beside the float64 network on 3 im")
    assert source.stock_note == "on the bundle's generator-deconv-fp32 (batch norm folded), for lack of a stock export"


def test_a_bundle_whose_fp32_is_not_the_network_is_no_reference(tmp_path: Path, weights: Weights) -> None:
    """One that the runtime would still let pass: 50 dB or more, and no pixel off by more than 2."""
    bundle = make_bundle(tmp_path / "off.ganport", weights)
    z = np.random.default_rng(1).standard_normal((3, 12), np.float32)
    image = np.round(weights.images(z)).astype(np.uint8)
    image[:, ::2] -= (image[:, ::2] > 0).astype(np.uint8)
    add_probe(bundle, weights, z=z, image=image)
    with pytest.raises(BenchError, match="is not what the network made when it was exported: PSNR mean 5"):
        BundleSource.of_bundle(bundle).reference(seed=4, count=1)


def test_a_bundle_without_a_probe_says_so(tmp_path: Path, weights: Weights) -> None:
    source = BundleSource.of_bundle(make_bundle(tmp_path / "tiny.ganport", weights))
    assert source.standard.endswith("not compared with the network, for the bundle has no probe")


def test_of_peers_those_that_take_a_graph_run_and_the_others_say_what_to_give(tmp_path: Path) -> None:
    run = make_tiny_run(tmp_path)
    export_run(run, tmp_path / "tiny.ganport", forms=("deconv",), precisions=("fp32",))
    source = BundleSource.of_bundle(tmp_path / "tiny.ganport")
    judge = Judge(*source.reference(seed=1, count=8))
    np.testing.assert_array_equal(judge.pixels, NetworkSource.of_run(run).reference(seed=1, count=8)[1])
    peers = {peer.name: peer for peer in peers_of(source)}
    chosen = choose(peers["ONNX Runtime"], 8, judge, QUICKEST)
    chosen.session.close()
    assert not chosen.verdict.wrong
    for name in ("PyTorch, eager", "PyTorch, bf16 autocast"):
        with pytest.raises(BenchError, match=r"^this needs the network in PyTorch, .*: ganport bench RUN --bundle "):
            choose(peers[name], 8, judge, QUICKEST)
