"""How many examples a property looks at: few each time, many with `HYPOTHESIS_PROFILE=long`."""

from __future__ import annotations

import os

FACTOR = 20 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 1


def examples(few: int) -> int:
    """That many, or twenty times as many."""
    return few * FACTOR
