"""`ganport serve` under load beside what people would use instead: `python -m ganport_bench.serving`."""
