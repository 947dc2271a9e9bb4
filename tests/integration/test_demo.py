"""README's demos, without the installation."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from penstock.cli.broker.installation import Installation

ROOT = Path(__file__).resolve().parents[2]


def demo(example: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", f"examples.{example}.demo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_the_demo_completes_its_runs_and_ends(installation: Installation) -> None:
    """Orders by HTTP and visits from a Kafka producer become completed runs, shown step by step; exit code 0."""
    done = demo("shop")
    assert "6 of 6 runs completed." in done.stdout
    charged = re.search(r"charge card .*StepRun .* (\d+) ms .* 2 ", done.stdout)
    assert charged is not None, "the step that failed once is shown with its second attempt"
    slept = re.search(r"wait for the courier .*Sleep .* (\d+) ms", done.stdout)
    assert slept is not None
    assert int(slept[1]) >= 900


def test_the_contact_import_waits_for_its_approval(installation: Installation) -> None:
    """The run on the real stack shows what it waits for, is resumed by the review of its upload, and imports."""
    done = demo("contact_import")
    waiting = done.stdout.index("'event': 'contacts/reviewed'")
    approved = done.stdout.index("Sent contacts/reviewed")
    assert waiting < approved < done.stdout.index("import batch 2")
    assert "'status': 'imported'" in done.stdout
    assert "3 of 3 contacts imported." in done.stdout
