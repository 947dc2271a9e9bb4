"""What a service process tells its supervisor: a line when it is ready, an exit code when it never can be."""

from __future__ import annotations

#: Printed before the text that says what listens where.
READY_PREFIX = "ready: "
#: Exit code of a service whose settings cannot work: starting it again would not help.
MISCONFIGURED = 2
