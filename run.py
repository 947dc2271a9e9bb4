"""Penstock from a fresh checkout, with nothing but Python: `python3 run.py demo` or `python3 run.py test`.

Makes a virtual environment in `.venv` with the pinned packages of `requirements/`, then runs what was asked for.
Uses the standard library only, because it runs before anything is installed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
OLDEST_PYTHON = (3, 11)
UV = "uv==0.13.9"

#: The rings of the tests, cheap ones first.
RINGS = (
    "unit",
    "golden",
    "property",
    "simulation",
    "contract",
    "examples",
    "integration",
    "dashboard",
    "verify",
    "conformance",
    "benchmarks",
)
EXAMPLES = ("shop", "contact_import")
CHECKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ruff", ("ruff", "check", ".")),
    ("ruff format", ("ruff", "format", "--check", ".")),
    ("mypy", ("mypy",)),
    ("import rules", ("lint-imports",)),
)


def main() -> int:
    if sys.version_info < OLDEST_PYTHON:
        return fail(
            f"Penstock needs Python {'.'.join(map(str, OLDEST_PYTHON))} or newer, this is {sys.version.split()[0]}"
        )
    arguments = parse()
    commands = {"setup": setup, "demo": demo, "check": check, "advisories": advisories, "test": test}
    try:
        return commands[arguments.command](arguments.more)
    except subprocess.CalledProcessError as error:
        return fail(f"`{' '.join(map(str, error.cmd))}` ended with exit code {error.returncode}")
    except KeyboardInterrupt:
        return 130


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "command",
        choices=("demo", "test", "check", "advisories", "setup"),
        help="demo [shop|contact_import]: broker, services and an example app, events in, finished runs out. "
        "test: all checks and tests. check: linters, types and unit tests. advisories: known vulnerabilities of pinned "
        "packages (--require: fail when nobody can be asked). setup: only the environment.",
    )
    parser.add_argument(
        "more", nargs=argparse.REMAINDER, help="test: given to pytest instead of all rings; demo: which example"
    )
    return parser.parse_args()


def setup(_more: Sequence[str]) -> int:
    install("dev")
    print(f"ready: {ENVIRONMENT}")
    return 0


def demo(more: Sequence[str]) -> int:
    example = more[0] if more else "shop"
    if example not in EXAMPLES:
        return fail(f"no example {example!r}; there are {', '.join(EXAMPLES)}")
    install("run")
    return call(PYTHON, "-m", f"examples.{example}.demo")


def check(_more: Sequence[str]) -> int:
    install("dev")
    return report([*checks(), ring("unit")])


def advisories(more: Sequence[str]) -> int:
    install("dev")
    return call(PYTHON, ROOT / "infra" / "advisories.py", *more)


def test(more: Sequence[str]) -> int:
    install("dev")
    if more:
        return call(PYTHON, "-m", "pytest", *more)
    return report([*checks(), *(ring(name) for name in RINGS)])


def checks() -> list[tuple[str, int, float]]:
    return [timed(name, ENVIRONMENT / "bin" / tool, *rest) for name, (tool, *rest) in CHECKS]


def ring(name: str) -> tuple[str, int, float]:
    return timed(f"{name} tests", PYTHON, "-m", "pytest", f"tests/{name}", "--durations=5")


def timed(title: str, *command: str | Path) -> tuple[str, int, float]:
    section(title)
    began = time.monotonic()
    code = call(*command)
    return title, code, time.monotonic() - began


def report(results: Sequence[tuple[str, int, float]]) -> int:
    section("summary")
    for title, code, seconds in results:
        print(f"  {'passed' if code == 0 else 'FAILED':8} {title:20} {seconds:7.1f} s")
    return 0 if all(code == 0 for _, code, _ in results) else 1


def install(which: str) -> None:
    """The environment with the pinned packages of `requirements/<which>.txt`; nothing to do when it has them."""
    if not PYTHON.exists():
        section("making a virtual environment in .venv")
        venv.create(ENVIRONMENT, with_pip=True)
    wanted = ROOT / "requirements" / f"{which}.txt"
    stamp = ENVIRONMENT / f"penstock-{which}.installed"
    content = fingerprint(wanted, ROOT / "pyproject.toml")
    if stamp.exists() and stamp.read_text("ascii") == content:
        return
    section(f"installing the packages of {wanted.relative_to(ROOT)}")
    packages = ["-r", str(wanted)]
    if not installed_by_uv(packages):
        run(PYTHON, "-m", "pip", "install", "--quiet", *packages)
    run(PYTHON, "-m", "pip", "install", "--quiet", "--no-deps", "--editable", str(ROOT))
    stamp.write_text(content, "ascii")


def installed_by_uv(packages: Sequence[str]) -> bool:
    """uv installs ten times as fast; where it does not get through (a mirror that only pip knows), pip does it."""
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV]
    if subprocess.run(pip, cwd=ROOT, check=False).returncode != 0:
        return False
    uv = [str(ENVIRONMENT / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(PYTHON), *packages]
    return subprocess.run(uv, cwd=ROOT, check=False).returncode == 0


def fingerprint(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files) + str(ROOT).encode()).hexdigest()


def run(*command: str | Path) -> None:
    subprocess.run([str(part) for part in command], cwd=ROOT, check=True)


def call(*command: str | Path) -> int:
    """Run with the environment's tools on the path; Ctrl-C is the command's to handle."""
    environment = dict(os.environ)
    environment["PATH"] = os.pathsep.join([str(ENVIRONMENT / "bin"), environment.get("PATH", "")])
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def section(title: str) -> None:
    print(f"\n── {title} {'─' * max(3, 76 - len(title))}", flush=True)


def fail(message: str) -> int:
    print(f"run.py: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
