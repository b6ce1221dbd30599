"""`ganport export`."""


def export() -> None:
    """To come."""
