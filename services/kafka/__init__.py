"""Thin adapters around librdkafka: settings translated, delivery awaited, the registry followed. They never decide."""
