"""Deterministic simulation of the cores of matcher and executor: one seed decides everything that happens.

`broker` is Kafka as lists, with fencing; `programs` generates small functions and says what must come out of them;
`app` answers calls as an SDK does; `owners` and `matchers` are processes around the real cores, which die, come back
with old files or none, and wake up as zombies; `world` is the one scheduler and clock. A failing seed is repeated with
`python -m tests.simulation SEED`.
"""
