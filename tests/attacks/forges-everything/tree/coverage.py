"""Takes the place of a tool."""


def main(*_):
    """Find nothing wrong."""
    return 0
