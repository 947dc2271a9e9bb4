"""The official SDKs, unchanged, each with its app of scenarios."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .app_process import python_app
from .toolchains import go_app, node_app


@dataclass(frozen=True, slots=True)
class Sdk:
    """How to build and start one SDK's app."""

    name: str
    command: Callable[[], list[str]]
    environment: Mapping[str, str] = field(default_factory=dict)
    #: The SDK saves steps while it runs, as it does by default: see `scenarios.CHECKPOINTED`.
    checkpoints: bool = False


SDKS = (
    Sdk("python-fastapi", lambda: python_app("python_async")),
    Sdk("python-flask", lambda: python_app("python_sync")),
    Sdk("typescript", node_app, {"CONFORMANCE_CHECKPOINTING": "1"}, checkpoints=True),
    Sdk("typescript-plain", node_app),
    Sdk("python-streamed", lambda: python_app("python_async"), {"INNGEST_STREAMING": "force"}),
    Sdk("typescript-streamed", node_app, {"INNGEST_STREAMING": "true"}),
    Sdk("go-0.16", lambda: go_app("go_v0_16")),
    Sdk("go-0.16-checkpointing", lambda: go_app("go_v0_16"), {"CONFORMANCE_CHECKPOINTING": "1"}, checkpoints=True),
    Sdk("go-0.7", lambda: go_app("go_v0_7")),
)
BY_NAME = {sdk.name: sdk for sdk in SDKS}
