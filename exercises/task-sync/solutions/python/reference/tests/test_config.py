import logging
import secrets

import pytest

from app import __main__, server
from app.config import ConfigError, Settings
from app.logs import configure_logging

KEY = secrets.token_hex()
ENV = {"PORT": "8080", "DATABASE_URL": "postgres://database", "JWT_SECRET": KEY}


def test_reads_the_environment():
    settings = Settings.from_env({**ENV, "TOKEN_TTL": "60"})

    assert settings == Settings(8080, "postgres://database", KEY, 60)


def test_the_lifetime_of_tokens_has_a_default():
    assert Settings.from_env(ENV).token_ttl == 900


@pytest.mark.parametrize("name", ENV)
def test_names_the_variable_that_is_missing(name):
    with pytest.raises(ConfigError, match=name):
        Settings.from_env({**ENV, name: ""})


@pytest.mark.parametrize("port", ["http", "0", "-1", "65536", "8e3", "²"])
def test_refuses_what_is_no_port(port):
    with pytest.raises(ConfigError, match="PORT"):
        Settings.from_env({**ENV, "PORT": port})


def test_keeps_secrets_out_of_its_representation():
    shown = repr(Settings(8080, "postgres://app:hunter@database", "hunter"))

    assert "hunter" not in shown


@pytest.fixture
def environment(monkeypatch):
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    yield monkeypatch
    logging.basicConfig(force=True)


def test_starts_with_the_settings_of_the_environment(environment):
    served = []
    environment.setattr(__main__, "serve", served.append)

    assert __main__.main() == 0
    assert [settings.port for settings in served] == [8080]


def test_ends_with_an_error_when_a_variable_is_missing(environment, capsys):
    environment.delenv("JWT_SECRET")

    assert __main__.main() == 2
    assert "JWT_SECRET is not set" in capsys.readouterr().err


def test_logs_are_json_with_the_traceback_of_errors(environment, capsys):
    configure_logging()
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("test").exception("it is %s", "late")

    line = capsys.readouterr().err
    assert '"message": "it is late"' in line
    assert "ValueError: broken" in line


def test_serves_until_it_is_told_to_end(monkeypatch):
    listened = []

    class EndsAtOnce:
        def run(self, sockets):
            listened.extend(socket.getsockname()[0] for socket in sockets)

    monkeypatch.setattr(server, "make_server", lambda settings: EndsAtOnce())
    monkeypatch.setattr(server.signal, "signal", lambda number, handler: None)

    server.serve(Settings(0, "postgres://database", KEY))

    assert listened == ["0.0.0.0"]
