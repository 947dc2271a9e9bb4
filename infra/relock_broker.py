"""Writes `infra/broker.lock.toml` anew: `python infra/relock_broker.py 4.4.0` after a look at the release notes.

Resolves the broker's jars by `jgo`, leaves out what only Kafka's command line tools need, and records name, version,
size and SHA-256 of each. The broker tests then show whether the broker runs on what is left.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.maven import MavenContext

LOCK = Path(__file__).with_name("broker.lock.toml")
#: Kafka logs through slf4j; this binding writes to stderr and needs no configuration file.
LOGGING = "org.slf4j:slf4j-simple:1.7.36"
#: Kafka's tools, its YAML and CSV readers, compile-time macros: no broker loads them.
UNUSED = {
    "scala-reflect",
    "jackson-dataformat-csv",
    "jackson-dataformat-yaml",
    "snakeyaml",
    "commons-beanutils",
    "commons-digester",
    "commons-logging",
    "commons-collections",
    "jspecify",
}


def main(version: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder))
        server = context.create_dependency(f"org.apache.kafka:kafka_2.13:{version}")
        inputs, transitive = context.resolver.resolve([server])
        artifacts = {dependency.artifact.key: dependency.artifact for dependency in inputs + transitive}
        kept = [a for a in artifacts.values() if a.artifactId not in UNUSED]
        kept.append(context.create_dependency(LOGGING).artifact)
        with ThreadPoolExecutor(8) as pool:
            files = list(pool.map(lambda a: (a, a.resolve()), kept))
        LOCK.write_text(lock_text(version, files), "utf-8")


def lock_text(version: str, files: list) -> str:
    lines = [
        "# The jars of the embedded broker, exactly; written by relock_broker.py, checked on every start.",
        f'kafka = "{version}"',
    ]
    for artifact, path in files:
        lines += [
            "",
            "[[jar]]",
            f'group = "{artifact.groupId}"',
            f'artifact = "{artifact.artifactId}"',
            f'version = "{artifact.version}"',
            f"bytes = {path.stat().st_size}",
            f'sha256 = "{hashlib.sha256(path.read_bytes()).hexdigest()}"',
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
