"""`ganport info`."""


def info() -> None:
    """To come."""
