"""A throw-away PostgreSQL for tests: the one that PENSTOCK_TEST_POSTGRES_URL names, or the machine's own programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from penstock.cli.ports import free_port
from tests.stack import wait_until

PROGRAMS = ("initdb", "postgres")


@contextmanager
def running_postgres() -> Iterator[str]:
    """Its URL; a machine without PostgreSQL skips by name."""
    if given := os.environ.get("PENSTOCK_TEST_POSTGRES_URL"):
        yield given
        return
    if any(shutil.which(program) is None for program in PROGRAMS):
        pytest.skip("PostgreSQL is not installed, and PENSTOCK_TEST_POSTGRES_URL names none")
    # PostgreSQL refuses to run as root, and pytest's folders are closed to others.
    user = "postgres" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if user is not None:
            shutil.chown(folder, user)
        cluster = str(folder / "cluster")
        made = ["initdb", "-D", cluster, "-A", "trust", "-U", "penstock", "--no-sync"]
        subprocess.run(made, user=user, cwd=folder, check=True, capture_output=True)
        port = free_port()
        flags = [f"-p{port}", "-clisten_addresses=127.0.0.1", "-cunix_socket_directories=", "-cfsync=off"]
        server = subprocess.Popen(
            ["postgres", "-D", cluster, *flags],
            user=user,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        url = f"postgresql://penstock@127.0.0.1:{port}/postgres"
        try:
            wait_until(lambda: _answers(url), 30.0, "PostgreSQL answers")
            yield url
        finally:
            server.terminate()
            server.wait(30.0)


def _answers(url: str) -> bool:
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.connect():
            return True
    except OperationalError:
        return False
    finally:
        engine.dispose()
