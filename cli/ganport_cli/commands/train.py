"""`ganport train`."""


def train() -> None:
    """To come."""
