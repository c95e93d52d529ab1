"""Entry point: ``python -m app``."""

import os

import uvicorn

from app.application import create_app

if __name__ == "__main__":
    uvicorn.run(create_app(), host="0.0.0.0", port=int(os.environ["PORT"]))
