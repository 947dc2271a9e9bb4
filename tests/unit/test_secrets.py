"""Secrets stay out of what is printed of settings and of errors."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from penstock import settings
from penstock.__main__ import _settings_error
from penstock.cli.checks import registry
from penstock.cli.server import Server
from penstock.errors import PenstockError
from penstock.history.database import writer_engine
from penstock.settings import ClientSettings, HistorySettings, KafkaSettings

ALL = [found for found in vars(settings).values() if isinstance(found, type) and issubclass(found, BaseSettings)]
SECRET = re.compile(r"password|event_key|signing_key|(database|registry)_url|app_urls|^url$")
MARK = "S3CRET"


def marked(kind: type[BaseSettings]) -> BaseSettings:
    """Settings whose secrets are marked."""
    names = [name for name in kind.model_fields if SECRET.search(name)]
    return kind.model_validate(dict.fromkeys(names, f"http://user:{MARK}@127.0.0.1:1/{MARK}"))


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_settings_do_not_show_secrets(kind: type[BaseSettings]) -> None:
    """Neither in `repr` nor as text: settings get into tracebacks and logs in one way or another."""
    assert MARK not in f"{marked(kind)!r} {marked(kind)}"


def test_there_are_secrets_to_hide() -> None:
    """What the test above marks, by name, so that it cannot pass by marking nothing."""
    names = {name for kind in ALL for name in kind.model_fields if SECRET.search(name)}
    assert names >= {
        "kafka_sasl_password",
        "kafka_ssl_key_password",
        "schema_registry_url",
        "event_keys",
        "event_key",
        "signing_key",
        "signing_key_fallback",
        "dashboard_password",
        "history_database_url",
        "app_urls",
        "url",
    }


def test_a_setting_that_cannot_be_used_is_named_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may have put a secret into the wrong variable."""
    monkeypatch.setenv("PENSTOCK_KAFKA_SASL_MECHANISM", MARK)
    monkeypatch.setenv("PENSTOCK_TOPIC_PREFIX", f"{MARK} {MARK}")
    with pytest.raises(ValueError, match="validation error") as caught:
        KafkaSettings()
    told = _settings_error(caught.value)
    assert "PENSTOCK_KAFKA_SASL_MECHANISM" in told
    assert MARK not in told


@pytest.mark.parametrize("url", [f"ftp://u:{MARK}@x/", f"http://u:{MARK}@127.0.0.1:1/"])
def test_a_registry_that_fails_is_named_without_its_password(url: str) -> None:
    """`penstock doctor` prints the error."""
    with pytest.raises(PenstockError) as caught:
        list(registry(KafkaSettings(schema_registry_url=url)))
    assert MARK not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    """The command line says where it looked."""
    with Server(ClientSettings(url=f"http://u:{MARK}@127.0.0.1:1", signing_key=MARK)) as server:
        told = f"{server.answers()} {server.url}"
    assert "http://127.0.0.1:1" in told
    assert MARK not in told


@pytest.mark.parametrize("url", [f"oracle://u:{MARK}@x/db", MARK])
def test_a_database_url_that_cannot_be_used_keeps_its_password(url: str) -> None:
    """The error names the variable."""
    with pytest.raises(PenstockError, match="PENSTOCK_HISTORY_DATABASE_URL") as caught:
        writer_engine(HistorySettings(history_database_url=url).database_url())
    assert MARK not in str(caught.value)


def test_errors_of_the_database_do_not_quote_values(tmp_path: Path) -> None:
    """What users sent would get into logs with every traceback."""
    engine = writer_engine(f"sqlite:///{tmp_path / 'history.sqlite3'}")
    try:
        with pytest.raises(DBAPIError) as caught, engine.connect() as connection:
            connection.execute(text("INSERT INTO nowhere VALUES (:data)"), {"data": MARK})
        assert "nowhere" in str(caught.value)
        assert MARK not in str(caught.value)
    finally:
        engine.dispose()
