"""A document as `ganport bench --json` prints it."""

from typing import Any

from ganport_bench.baselines import TRANSFERS

DOCUMENT: dict[str, Any] = {
    "is_quick": False,
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
                "after": {"clock_mhz": {"sm": 1200, "memory": 6251}, "throttle_reasons": ["idle"]},
                "throttled_seconds": {"power": 2.5, "heat": 0.0, "sync_boost": None},
            }
        ],
    },
    "took_seconds": {"speed": 60.0},
    "targets": [],
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
            "transfers": TRANSFERS["cuda" if kind == "plan" else "cpu"],
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
