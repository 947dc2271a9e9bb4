"""Are there known vulnerabilities in what we pin? Asks the package registries' advisories by pip-audit and npm.

Three outcomes, kept apart: findings (exit code 1), none, and nobody could be asked. The last is no pass: it is said
loudly, and with `--require` it fails (exit code 2). Many mirrors carry packages without advisories, so one package
is asked about before all are.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIP_AUDIT = "pip-audit==2.10.1"
PINNED = ("requirements/run.txt", "requirements/dev.txt")
LOCKED = ("tests/conformance/typescript", "tests/dashboard")
TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was learnt of one list of packages. Nothing `asked`: nobody could be asked, for this reason."""

    asked: int
    findings: tuple[str, ...] = ()
    reason: str = ""


def main(arguments: Sequence[str]) -> int:
    outcomes = {name: python_packages(ROOT / name) for name in PINNED}
    outcomes |= {name: npm_packages(ROOT / name) for name in LOCKED}
    for name, outcome in outcomes.items():
        print(f"{name}: {said(outcome)}")
        for finding in outcome.findings:
            print(f"  {finding}")
    return exit_code(tuple(outcomes.values()), "--require" in arguments)


def said(outcome: Outcome) -> str:
    if not outcome.asked:
        return f"NOT AUDITED: advisories cannot be had here ({outcome.reason})"
    return f"{len(outcome.findings)} findings in {outcome.asked} packages"


def exit_code(outcomes: Sequence[Outcome], required: bool) -> int:
    if any(outcome.findings for outcome in outcomes):
        return 1
    return 2 if required and not all(outcome.asked for outcome in outcomes) else 0


def python_packages(requirements: Path) -> Outcome:
    """Ask about the first package, and about all when there was an answer."""
    first = next(line for line in requirements.read_text("utf-8").splitlines() if "==" in line and line[0] != "#")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as probe:
        probe.write(first.partition(";")[0].rstrip(" \\") + "\n")
        probe.flush()
        asked = pip_audit(Path(probe.name))
    return pip_audit(requirements) if asked.asked else asked


def pip_audit(requirements: Path) -> Outcome:
    tool = [str(ROOT / ".venv" / "bin" / "uv"), "tool", "run", "--quiet", PIP_AUDIT]
    return read_pip_audit(*ran([*tool, "--requirement", str(requirements), "--no-deps", "--disable-pip", "-f", "json"]))


def npm_packages(folder: Path) -> Outcome:
    return read_npm_audit(*ran(["npm", "audit", "--package-lock-only", "--json"], folder))


def ran(command: Sequence[str], folder: Path = ROOT) -> tuple[str, str]:
    """What the command wrote, to its output and its errors."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"{command[0]}: {type(error).__name__}"
    return done.stdout, done.stderr


def read_pip_audit(output: str, errors: str) -> Outcome:
    """Packages that the index does not know are skipped by pip-audit, which then reports success."""
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Outcome(0, reason=last_line(errors))
    known = [package for package in packages if "skip_reason" not in package]
    findings = [
        f"{package['name']} {package['version']}: {found['id']}, mended in {', '.join(found['fix_versions']) or '-'}"
        for package in known
        for found in package["vulns"]
    ]
    return Outcome(len(known), tuple(findings), "" if known else "the index offers none")


def read_npm_audit(output: str, errors: str) -> Outcome:
    try:
        report = json.loads(output)
        found, asked = report["vulnerabilities"], int(report["metadata"]["dependencies"]["total"])
    except (ValueError, KeyError, TypeError):
        return Outcome(0, reason=last_line(errors))
    return Outcome(asked, tuple(f"{name}: {each['severity']}, {each['range']}" for name, each in found.items()))


def last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and "log of this run" not in line]
    return lines[-1][:200] if lines else "no answer"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
