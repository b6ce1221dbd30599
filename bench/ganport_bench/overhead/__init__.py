"""What ganport costs over the bare tools under it, beside what it promised: `python -m ganport_bench.overhead`."""
