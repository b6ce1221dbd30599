"""ganport_bench."""
