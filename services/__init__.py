"""Penstock: durable functions on Kafka.

The rooms, from the bottom up: `messages` (what lies on the topics), `functions`, `expressions` and `runs` (pure
rules), `state` and `kafka` (ports and adapters), then the services `ingest`, `matcher`, `executor` and `history`,
and `cli`. They are put together in `__main__` and nowhere else.
"""

__version__ = "0.1.0"
