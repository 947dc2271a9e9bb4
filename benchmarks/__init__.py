"""Measurements: `python -m benchmarks` for the whole server, `python -m benchmarks.state` for the state store alone."""
