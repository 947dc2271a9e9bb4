"""`penstock verify` as a user types it, where keys are asked for and topics have partition counts of their own."""

from __future__ import annotations

import os
import subprocess
import sys

from penstock.cli.ports import free_port
from tests.conftest import StartStack
from tests.stack import Stack

SIGNING_KEY = "signkey-prod-0123456789abcdef0123456789abcdef"
EVENT_KEY = "an-event-key"
INSTALLATION = {
    "PENSTOCK_SIGNING_KEY": SIGNING_KEY,
    "PENSTOCK_EVENT_KEYS": EVENT_KEY,
    "PENSTOCK_EVENT_PARTITIONS": "2",
    "PENSTOCK_RUN_PARTITIONS": "3",
    "PENSTOCK_WAIT_PARTITIONS": "5",
}


def verify(stack: Stack, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    known = {**os.environ, **stack.environment, "PENSTOCK_KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap_servers}
    command = [
        sys.executable,
        "-P",
        "-m",
        "penstock",
        "verify",
        "--seed",
        "11",
        "--rounds",
        "1",
        "--runs",
        "25",
        *words,
    ]
    return subprocess.run(command, env=known | settings, capture_output=True, text=True, timeout=300, check=False)


def in_the_cloud(stack: Stack) -> str:
    """The URL of an ingest that lets nobody in without a key."""
    port = free_port()
    cloud = {"PENSTOCK_MODE": "cloud", "PENSTOCK_PORT": str(port), "PENSTOCK_DATA_DIR": str(stack.data_dir)}
    stack.start_service("ingest", cloud)
    return f"http://127.0.0.1:{port}"


def test_an_installation_with_keys_and_counts_of_its_own_is_verified(stack: StartStack) -> None:
    """With its settings and keys all runs end as they must; without a key, or with other counts, it says what to do."""
    running = stack(retry_interval=1, environment=INSTALLATION)
    url = in_the_cloud(running)
    keys = {"PENSTOCK_URL": url, "PENSTOCK_EVENT_KEY": EVENT_KEY}
    done = verify(running, "--patience", "120", **keys)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "25 events" in done.stderr
    refused = verify(running, **{**keys, "PENSTOCK_SIGNING_KEY": "signkey-prod-00"})
    assert (refused.returncode, "401" in refused.stderr) == (5, True), refused.stderr
    other = verify(running, **keys, PENSTOCK_RUN_PARTITIONS="4")
    assert other.returncode not in (0, 5)
    assert "has 3 partitions, the settings say 4" in other.stderr
