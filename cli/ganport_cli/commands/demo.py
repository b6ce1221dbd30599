"""`ganport demo`."""


def demo() -> None:
    """To come."""
