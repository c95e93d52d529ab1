"""Configuration of the process, read from the environment once at start."""

from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_TOKEN_TTL = 900
MAX_PORT = 65535


class ConfigError(Exception):
    """The environment lacks a variable or holds one that cannot be used."""


@dataclass(frozen=True)
class Settings:
    """Everything that may differ between two deployments; secrets stay out of its ``repr``."""

    port: int
    database_url: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    token_ttl: int = DEFAULT_TOKEN_TTL
    """Lifetime of an access token in seconds."""

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings from ``env``; raise ``ConfigError`` naming the first bad variable."""
        return cls(
            port=_number(env, "PORT", maximum=MAX_PORT),
            database_url=_text(env, "DATABASE_URL"),
            jwt_secret=_text(env, "JWT_SECRET"),
            token_ttl=_number(env, "TOKEN_TTL", default=DEFAULT_TOKEN_TTL),
        )


def _text(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise ConfigError(f"{name} is not set")
    return value


def _number(
    env: Mapping[str, str], name: str, *, default: int | None = None, maximum: int = 2**31
) -> int:
    raw = env.get(name) or (None if default is None else str(default))
    if raw is None:
        raise ConfigError(f"{name} is not set")
    if not (raw.isascii() and raw.isdigit() and 0 < int(raw) <= maximum):
        raise ConfigError(f"{name} is not a number from 1 to {maximum}")
    return int(raw)
