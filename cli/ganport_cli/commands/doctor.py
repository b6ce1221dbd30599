"""`ganport doctor`."""


def doctor() -> None:
    """To come."""
