"""README's first command, without the installation."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from penstock.cli.broker.installation import Installation

ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_completes_its_runs_and_ends(installation: Installation) -> None:
    """Orders by HTTP and visits from a Kafka producer become completed runs, shown step by step; exit code 0."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.shop.demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 of 6 runs completed." in done.stdout
    charged = re.search(r"charge card .*StepRun .* (\d+) ms .* 2 ", done.stdout)
    assert charged is not None, "the step that failed once is shown with its second attempt"
    slept = re.search(r"wait for the courier .*Sleep .* (\d+) ms", done.stdout)
    assert slept is not None
    assert int(slept[1]) >= 900
