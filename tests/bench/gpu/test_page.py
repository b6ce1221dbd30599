"""The page, of a document as `ganport bench --json` prints it."""

from ganport_bench.gpu.outcome import Outcome
from ganport_bench.gpu.page import page

DOCUMENT = {
    "machine": {
        "measured_at": "2026-12-01T10:00:00+00:00",
        "cpu": "EPYC",
        "cores": 16,
        "system": "Linux",
        "python": "3.12.1",
        "packages": {"torch": "2.13.0", "openvino": None},
        "gpu_note": "",
        "gpus": [
            {
                "name": "NVIDIA L4",
                "driver": "580.65",
                "memory_bytes": 24 * 2**30,
                "compute_capability": "8.9",
                "max_clock_mhz": {"sm": 2040, "memory": 6251},
                "power_limit_watts": 72.0,
                "before": {},
                "after": {"clock_mhz": {"sm": 1200, "memory": 6251}, "throttle_reasons": ["power cap"]},
                "throttled_seconds": {"power": 2.5, "heat": 0.0, "sync_boost": None},
            }
        ],
    },
    "model": {"run": "runs/x", "bundle": "x.ganport", "is_trained": True},
    "rows": [
        {
            "system": system,
            "kind": kind,
            "precision": precision,
            "batch": batch,
            "images_per_second": rate,
            "low": rate - 10,
            "high": rate + 10,
            "is_wide": rate == 900.0,
            "latency_ms": {"p50": 1e3 * batch / rate},
            "psnr_db": psnr,
            "correct": psnr is not None,
            "settings": {"layout": "contiguous"},
            "note": "black | images",
        }
        for system, kind, precision, batch, rate, psnr in (
            ("PyTorch CUDA graph", "peer", "fp32", 8, 900.0, 100.0),
            ("engine", "plan", "fp16", 8, 1900.0, None),
            ("PyTorch CUDA graph", "peer", "fp32", 1, 400.0, 100.0),
        )
    ],
    "missing": {"1": {"a": "no triton", "b": "no triton"}, "8": {"a": "no triton"}},
    "skipped": {"load": "uvicorn is not installed"},
}


def test_the_page_holds_machine_tests_rows_and_what_did_not_run() -> None:
    text = page(DOCUMENT, Outcome(40, 0, {"no TensorRT": 2}))
    assert "Written by `make gpu` on 2026-12-01" in text
    assert (
        "- GPU: NVIDIA L4, 24 GiB, compute capability 8.9, driver 580.65, power limit 72 W, afterwards at 1200 of "
        "2040 MHz, held back now by power cap, held back for 2.5 s by power\n"
    ) in text
    assert "- Tests marked `gpu`: 40 passed, 0 failed, 2 skipped (2 x no TensorRT)" in text
    lines = text.splitlines()
    assert lines.index("## Batch 1") < lines.index("## Batch 8")
    first = lines[lines.index("## Batch 8") + 4]
    assert first.startswith("| **engine** | fp16 | 1,900 | 1,890 to 1,910 | 4.21 |  | no: black / images |")
    assert "| PyTorch CUDA graph | fp32 | 900 | 890 to 910, wide | 8.89 | 100.0 | yes | layout contiguous |" in lines
    assert "- a; b: no triton" in lines
    assert "- part load: uvicorn is not installed" in lines
