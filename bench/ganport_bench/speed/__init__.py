"""ganport's plans beside what people would use instead, and the machine's ceilings: `python -m ganport_bench.speed`."""
