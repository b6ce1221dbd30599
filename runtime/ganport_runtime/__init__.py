"""ganport_runtime."""
