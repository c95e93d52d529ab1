"""The ASGI application."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


def create_app() -> Starlette:
    """Return the application with all its routes."""
    return Starlette(routes=[Route("/health", health)])


async def health(_request: Request) -> JSONResponse:
    """Answer GET /health."""
    return JSONResponse({"status": "ok"})
