"""ganport_train."""
