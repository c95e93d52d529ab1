"""Entry point: ``python -m app``."""

import logging
import os
import sys

from app.config import ConfigError, Settings
from app.logs import configure_logging
from app.server import serve


def main() -> int:
    """Run the service until SIGTERM or SIGINT and return the exit code of the process."""
    configure_logging()
    try:
        settings = Settings.from_env(os.environ)
    except ConfigError as error:
        logging.getLogger(__name__).critical("configuration: %s", error)
        return 2
    serve(settings)
    return 0


if __name__ == "__main__":
    sys.exit(main())
