"""The owner of run partitions: drives runs, keeps their state, calls user code, fires timers."""
