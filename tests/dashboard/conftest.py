"""A running system, an app on it, and a browser to look at it with. What is missing is installed, or fails loudly."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..audited import assert_rules_hold
from ..conformance.app_process import AppProcess
from ..stack import Stack

HERE = Path(__file__).parent
IMAGES = HERE.parents[1] / "docs" / "images"
STORY_SECONDS = 110
INSTALL_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Browser:
    """Node with its packages, and the browser that it drives."""

    node: str
    chromium: str

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the stories' script; its words are the reason of a failure."""
        return subprocess.run(
            [self.node, str(HERE / "stories.mjs"), *arguments],
            capture_output=True,
            text=True,
            timeout=STORY_SECONDS,
            env={**os.environ, "PENSTOCK_CHROMIUM": self.chromium, **environment},
            check=False,
        )


@pytest.fixture(scope="session")
def browser() -> Browser:
    """The browser; installed by apt-get where we may, and the packages of the lock file by npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.fail("the dashboard's tests need Node 20 or newer with npm: install them")
    if not (HERE / "node_modules" / ".package-lock.json").exists():
        _install([npm, "ci"], HERE)
    return Browser(node, _chromium())


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found is not None:
            return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        _install(["apt-get", "update"], HERE)
        _install(["apt-get", "install", "-y", "--no-install-recommends", "chromium", "fonts-liberation"], HERE)
    found = shutil.which("chromium")
    if found is None:
        pytest.fail("the dashboard's tests need Chromium: install the package `chromium`, or put it on the PATH")
    return found


def _install(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.fixture(scope="session")
def system(broker: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`penstock dev` with the shop on it."""
    stack = Stack(
        tmp_path_factory.mktemp("dashboard"),
        bootstrap_servers=broker,
        topic_prefix=f"d{uuid.uuid4().hex[:12]}.",
        retry_interval=0.2,
    )
    app: AppProcess | None = None
    try:
        stack.wait_ready()
        app = AppProcess("shop", [sys.executable, "-m", "tests.dashboard.shop"], {"INNGEST_DEV": stack.url})
        app.wait_ready().sync()
        yield stack
    finally:
        if app is not None:
            app.stop()
        stack.stop()
    assert_rules_hold([stack], ())


@pytest.fixture
def pictures() -> Callable[[], str]:
    """Where the stories' pictures go: into the documentation with PENSTOCK_PICTURES=1, else nowhere."""

    def folder() -> str:
        if os.environ.get("PENSTOCK_PICTURES") != "1":
            return ""
        IMAGES.mkdir(parents=True, exist_ok=True)
        return str(IMAGES)

    return folder
