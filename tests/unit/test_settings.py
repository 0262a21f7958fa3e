"""Does every setting come from its variable, and is a wrong one told in one line?"""

from __future__ import annotations

import pytest

from processor.domain.errors import ConfigurationError
from processor.settings import Settings, describe


def test_without_variables_the_defaults_stand() -> None:
    settings = Settings.from_env({"PATH": "/bin"})
    assert settings == Settings()
    assert settings.kafka is None
    assert settings.topics.lanes[0] == "jobs.critical"


def test_every_variable_is_read() -> None:
    settings = Settings.from_env(
        {
            "JOBS_KAFKA": "one:9092, [::1]:9093",
            "JOBS_DATABASE": "postgresql://u:p@host/name",
            "JOBS_NAMESPACE": "shop",
            "JOBS_PARTITIONS": "24",
            "JOBS_REPLICATION": "1",
            "JOBS_RELEASE": "2026-11-24",
            "JOBS_SLOTS": "8",
            "JOBS_CONNECTIONS": "4",
            "JOBS_LOOK_AHEAD": "100",
            "JOBS_SESSION_TIMEOUT": "6",
            "JOBS_DRAIN_TIMEOUT": "0.5",
            "JOBS_SUBSCRIBER_TIMEOUT": "60",
            "JOBS_LOCAL": "/data",
        }
    )
    assert settings == Settings(
        kafka="one:9092,[::1]:9093",
        database="postgresql://u:p@host/name",
        namespace="shop",
        partitions=24,
        replication=1,
        release="2026-11-24",
        slots=8,
        connections=4,
        look_ahead=100,
        session_timeout=6.0,
        drain_timeout=0.5,
        subscriber_timeout=60.0,
        local="/data",
    )


def test_an_empty_variable_counts_as_not_set() -> None:
    assert Settings.from_env({"JOBS_KAFKA": " ", "JOBS_SLOTS": ""}) == Settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("JOBS_KAFKA", "localhost"),
        ("JOBS_KAFKA", "localhost:"),
        ("JOBS_KAFKA", "localhost:70000"),
        ("JOBS_KAFKA", "localhost:9092,"),
        ("JOBS_KAFKA", "http://localhost:9092"),
        ("JOBS_DATABASE", "localhost:5432"),
        ("JOBS_DATABASE", "mysql://u:secret@host/name"),
        ("JOBS_DATABASE", "postgresql://host"),
        ("JOBS_DATABASE", "postgresql://u:secret@host:port/name"),
        ("JOBS_DATABASE", "postgresql+asyncpg://u:secret@host/name"),
        ("JOBS_NAMESPACE", "Jobs"),
        ("JOBS_NAMESPACE", "a.b"),
        ("JOBS_PARTITIONS", "0"),
        ("JOBS_PARTITIONS", "twelve"),
        ("JOBS_SLOTS", "-1"),
        ("JOBS_SLOTS", "²"),
        ("JOBS_SESSION_TIMEOUT", "nan"),
        ("JOBS_SESSION_TIMEOUT", "1e9"),
        ("JOBS_DRAIN_TIMEOUT", "soon"),
    ],
)
def test_a_wrong_variable_is_named_in_one_line_without_a_password(
    variable: str, value: str
) -> None:
    with pytest.raises(ConfigurationError) as wrong:
        Settings.from_env({variable: value})
    said = str(wrong.value)
    assert said.startswith(f"{variable} is wrong: ")
    assert "\n" not in said
    assert "secret" not in said


def test_a_missing_broker_or_database_says_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match=r"JOBS_KAFKA is not set: .*processor local"):
        Settings().need_kafka()
    with pytest.raises(ConfigurationError, match=r"JOBS_DATABASE is not set: .*postgresql://"):
        Settings().need_database()


def test_settings_never_show_the_password() -> None:
    assert "secret" not in repr(Settings(database="postgresql://u:secret@host/name"))


def test_every_setting_is_described_with_its_default() -> None:
    told = {variable: (default, text) for variable, default, text in describe()}
    assert len(told) == len(Settings.__dataclass_fields__)
    assert told["JOBS_SESSION_TIMEOUT"][0] == "45"
    assert told["JOBS_KAFKA"][0] == ""
    assert all(text for _, text in told.values())
