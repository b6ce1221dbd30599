"""ganport_export."""
