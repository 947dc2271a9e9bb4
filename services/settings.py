"""Every setting, typed, in one place: read from `PENSTOCK_…` variables once, in `__main__`, and passed on.

Units are in the names. Each service gets the part that it needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from platformdirs import user_cache_path
from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .errors import InvalidInput
from .functions.durations import parse_duration
from .messages.topics import Topics


class _Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PENSTOCK_", frozen=True, extra="ignore")


class KafkaSettings(_Settings):
    """How to reach the cluster, and the shape of our topics on it."""

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    kafka_sasl_username: str | None = None
    kafka_sasl_password: str | None = Field(default=None, repr=False)
    kafka_ssl_ca_location: str | None = None
    kafka_ssl_certificate_location: str | None = None
    kafka_ssl_key_location: str | None = None
    kafka_ssl_key_password: str | None = Field(default=None, repr=False)
    #: A group member that says nothing for this long is taken for dead; the broker allows 6 s and more.
    kafka_session_timeout_ms: int = Field(default=6000, ge=6000, le=300_000)
    #: A broker that owes an answer for this long is out of reach: its connection is made anew. A connection that is
    #: half-open (it stands, and bytes vanish) costs at most this, and half of it for one that is just being made.
    kafka_request_timeout_ms: int = Field(default=10_000, ge=2000, le=300_000)
    #: May carry `user:password@`, so it is not shown as it is; see `shown_url`.
    schema_registry_url: str | None = Field(default=None, repr=False)
    #: Names the installation: topics, consumer groups and transactional ids start with it.
    topic_prefix: str = Field(default="penstock.", pattern=r"^[a-zA-Z0-9._-]{1,64}$")
    event_partitions: int = Field(default=4, ge=1, le=4096)
    run_partitions: int = Field(default=4, ge=1, le=4096)
    wait_partitions: int = Field(default=4, ge=1, le=4096)
    #: 1 suits the embedded broker; a cluster of three or more wants 3.
    replication_factor: int = Field(default=1, ge=1, le=16)

    def topics(self) -> Topics:
        return Topics(self.topic_prefix, self.event_partitions, self.run_partitions, self.wait_partitions)


class BrokerSettings(_Settings):
    """The embedded broker of `penstock dev` and of the tests."""

    #: Jars and start-up cache, shared by all projects of a user; the default follows XDG_CACHE_HOME.
    cache_dir: Path = Field(default_factory=lambda: user_cache_path("penstock"))


class ServerSettings(_Settings):
    """The HTTP side: where SDKs and senders come in."""

    host: str = "127.0.0.1"
    port: int = Field(default=8288, ge=0, le=65535)
    #: dev accepts any key and polls apps; cloud needs keys.
    mode: Literal["dev", "cloud"] = "cloud"
    #: A dev server asks nobody for a key, so it listens on loopback addresses only, unless this says otherwise.
    dev_on_network: bool = False
    #: Comma-separated names by which browsers may call a dev server, besides addresses and local names.
    dev_hosts: str = ""
    #: Comma-separated; a cloud server needs at least one.
    event_keys: str = Field(default="", repr=False)
    signing_key: str = Field(default="", repr=False)
    signing_key_fallback: str = Field(default="", repr=False)
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    #: Each needs a file handle; beyond it, who connects is told 503.
    max_connections: int = Field(default=2000, ge=10)
    #: Events accepted but not yet acknowledged by Kafka; beyond it senders get 429.
    max_unacknowledged_events: int = Field(default=20_000, ge=1)
    #: How long a sender waits for Kafka before it gets 503.
    kafka_timeout_seconds: float = Field(default=10.0, gt=0)
    #: Comma-separated URLs of apps to sync at start and to poll. They may carry credentials.
    app_urls: str = Field(default="", repr=False)
    app_poll_seconds: float = Field(default=5.0, gt=0)
    #: In dev, look for apps on the ports and paths where frameworks serve them by default.
    discover_apps: bool = True


class DashboardSettings(_Settings):
    """The web pages, served at the HTTP side's port."""

    mode: Literal["dev", "cloud"] = "cloud"
    #: What people enter to see the pages of a cloud server; the signing key does it too.
    dashboard_password: str = Field(default="", repr=False)
    dashboard_session_hours: int = Field(default=12, ge=1, le=24 * 365)
    signing_key: str = Field(default="", repr=False)
    signing_key_fallback: str = Field(default="", repr=False)
    event_keys: str = Field(default="", repr=False)

    def first_event_key(self) -> str:
        """By which the pages send events; any will do where none is set."""
        given = (key.strip() for key in self.event_keys.split(","))
        return next((key for key in given if key), "dashboard")


class MatcherSettings(_Settings):
    """The matcher; Faust keeps its own files below `data_dir`."""

    data_dir: Path = Path(".penstock")
    #: Events read ahead of matching; all of them are in memory, and each may have megabytes.
    matcher_buffer_events: int = Field(default=256, ge=1)
    #: Commands on their way to Kafka beyond which no further event is taken.
    matcher_max_in_flight: int = Field(default=20_000, ge=1)
    #: How long an event can still be seen by waits that are registered later; the correlations topic keeps a day.
    wait_lookback_window_seconds: float = Field(default=3600.0, ge=1, le=12 * 3600)


class ExecutorSettings(_Settings):
    """The executor: owner of run partitions and caller of apps."""

    data_dir: Path = Path(".penstock")
    host: str = "127.0.0.1"
    #: Address other services ask for live run state; 0 takes a free port.
    executor_port: int = Field(default=0, ge=0, le=65535)
    signing_key: str = Field(default="", repr=False)
    signing_key_fallback: str = Field(default="", repr=False)
    dev_on_network: bool = False
    state_store: Literal["rocksdb", "memory"] = "rocksdb"
    #: Calls in flight to one app; the rest queue, so that an app that hangs holds up nobody else.
    max_calls_per_app: int = Field(default=128, ge=1)
    call_timeout_seconds: float = Field(default=7200.0, gt=0)
    #: Told to end, an executor serves on this long for calls that take more than a second; then others make them again.
    drain_seconds: float = Field(default=10.0, ge=0, le=3600)
    #: How long a request that a fetch or AI step asks for may take; models think for minutes.
    request_timeout_seconds: float = Field(default=7200.0, gt=0)
    #: May such requests go to private, loopback and link-local addresses? Unset: in dev only.
    outbound_private_addresses: bool | None = None
    mode: Literal["dev", "cloud"] = "cloud"
    #: Linear retry interval for development; unset means the back-off table.
    retry_interval_seconds: float | None = Field(default=None, ge=0)
    retention_run_state_seconds: int = Field(default=24 * 3600, ge=0)
    #: How far back a new wait sees events: `step` (since the last step before it began), `none`, or a duration (`30s`).
    wait_lookback: str = "step"
    #: `wanted` emits inngest/function.finished when a function is triggered by it or a run waits for it; `all` always.
    finished_events: Literal["wanted", "all"] = "wanted"
    #: Live runs kept decoded per partition; beyond it idle ones are read again when needed.
    cached_runs_per_partition: int = Field(default=5000, ge=1)

    def private_addresses_allowed(self) -> bool:
        """Whether requests of steps may go into the network that this server is in."""
        return self.mode == "dev" if self.outbound_private_addresses is None else self.outbound_private_addresses

    @field_validator("wait_lookback")
    @classmethod
    def _lookback(cls, text: str) -> str:
        if text not in ("step", "none"):
            try:
                parse_duration(text)
            except InvalidInput as error:
                raise ValueError(f"expected step, none or a duration such as 30s: {error}") from error
        return text

    def lookback_ms(self) -> int | None:
        """How far back a wait sees events, in ms; None for "since the last step began"."""
        if self.wait_lookback == "step":
            return None
        return 0 if self.wait_lookback == "none" else int(parse_duration(self.wait_lookback).total_seconds() * 1000)


class SourceKafkaSettings(KafkaSettings):
    """The cluster that `penstock pull` reads: `PENSTOCK_SOURCE_KAFKA_SASL_USERNAME` and so on."""

    model_config = SettingsConfigDict(env_prefix="PENSTOCK_SOURCE_", frozen=True, extra="ignore")


class ClientSettings(_Settings):
    """The command line, as a client of the HTTP API."""

    url: str = Field(default="http://127.0.0.1:8288", repr=False)
    signing_key: str = Field(default="", repr=False)
    #: Shown when events are sent; a dev server takes any.
    event_key: str = Field(default="", repr=False)
    client_timeout_seconds: float = Field(default=30.0, gt=0)


class ReplaySettings(_Settings):
    """Replays: who asks for them, and the replayer that carries them out."""

    #: Runs that a replay starts in a second, unless it asks for another rate.
    replay_rate: float = Field(default=100.0, gt=0, le=20_000)
    #: Replays that are carried out at the same time; the others wait for their turn, the oldest first.
    replays_at_once: int = Field(default=4, ge=1, le=64)


class HistorySettings(_Settings):
    """The SQL read model. An empty URL means a SQLite file below `data_dir`."""

    data_dir: Path = Path(".penstock")
    #: Holds a password, as a rule.
    history_database_url: str = Field(default="", repr=False)
    history_batch_records: int = Field(default=2000, ge=1)
    #: Where events name their user besides `user.id`, `user.external_id` and `user.email`: `data.customer_id`.
    history_user_path: str = Field(default="", pattern=r"^((data|user)(\.[^.]{1,100}){1,8})?$")
    #: Ended runs leave history after this long, with their steps; 0 keeps them for ever.
    retention_history_runs_seconds: int = Field(default=30 * 24 * 3600, ge=0)
    #: Events and dead letters leave after this long, unless a run is left that they started; 0 keeps them for ever.
    retention_history_events_seconds: int = Field(default=30 * 24 * 3600, ge=0)

    def database_url(self) -> str:
        return self.history_database_url or f"sqlite:///{self.data_dir.resolve() / 'history.sqlite3'}"
