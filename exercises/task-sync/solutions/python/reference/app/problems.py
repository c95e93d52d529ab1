"""Errors that a client gets to see, as RFC 9457 problem details."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse

AUTH_SCHEME = "Bearer"


class ProblemError(Exception):
    """Ends a request with a status of 4xx or 5xx.

    ``detail`` is shown to the client; it must not repeat what the client sent, which need not
    even be encodable.
    """

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers

    def response(self) -> JSONResponse:
        """Render the problem as ``application/problem+json``."""
        body = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }
        return JSONResponse(body, self.status, self.headers, "application/problem+json")


def invalid(detail: str) -> ProblemError:
    """Make a 422: a body, parameter or header breaks the contract."""
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)


def unauthorized(detail: str) -> ProblemError:
    """Make a 401 that asks for a bearer token."""
    return ProblemError(HTTPStatus.UNAUTHORIZED, detail, {"WWW-Authenticate": AUTH_SCHEME})


def not_found() -> ProblemError:
    """Make a 404, the same for a task that does not exist and for one of somebody else."""
    return ProblemError(HTTPStatus.NOT_FOUND, "There is no such resource.")


def unavailable() -> ProblemError:
    """Make a 503 for the time in which the database cannot be reached."""
    return ProblemError(
        HTTPStatus.SERVICE_UNAVAILABLE, "The database cannot be reached.", {"Retry-After": "1"}
    )
