"""Builds of the apps that are not Python. A missing toolchain fails in CI and is a named skip elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BUILD = HERE / ".build"
BUILD_SECONDS = 600


def need(tool: str, why: str) -> str:
    """Path of the tool."""
    found = shutil.which(tool)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail(f"{tool} is not installed: {why}")
    if found is None:
        pytest.skip(f"{tool} is not installed: {why}")
    return found


def node_app() -> list[str]:
    """Command of the TypeScript SDK's app; its packages are installed when the lock file is newer."""
    node = need("node", "the TypeScript SDK's conformance needs Node 20 or newer")
    npm = need("npm", "the TypeScript SDK's conformance needs npm")
    folder = HERE / "typescript"
    installed = folder / "node_modules" / ".package-lock.json"
    if _older(installed, [folder / "package-lock.json"]):
        _run([npm, "ci", "--no-audit", "--no-fund"], folder)
    return [node, str(folder / "app.mjs")]


def go_app(module: str) -> list[str]:
    """Command of a Go SDK's app, built when its sources are newer."""
    go = need("go", "the Go SDK's conformance needs Go 1.25 or newer")
    folder, binary = HERE / module, BUILD / module
    if _older(binary, sorted(folder.iterdir())):
        BUILD.mkdir(exist_ok=True)
        _run([go, "build", "-o", str(binary), "."], folder)
    return [str(binary)]


def _older(made: Path, sources: list[Path]) -> bool:
    return not made.exists() or made.stat().st_mtime < max(source.stat().st_mtime for source in sources)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
    assert done.returncode == 0, f"{' '.join(command)} in {folder}:\n{done.stdout}\n{done.stderr}"
