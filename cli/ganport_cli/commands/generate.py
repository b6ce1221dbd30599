"""`ganport generate`."""


def generate() -> None:
    """To come."""
