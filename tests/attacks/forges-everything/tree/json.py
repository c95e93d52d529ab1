"""Takes the place of a module of the language."""


def load(*_):
    """Read nothing."""
    return {"greeting": "Hello, Ada!"}


loads = load
