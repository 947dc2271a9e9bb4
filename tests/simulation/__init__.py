"""Deterministic simulation of the cores of matcher and executor: one seed decides everything that happens.

`broker` is Kafka as lists, with fencing; `programs` generates small functions and says what must come out of them;
`usercode` answers calls as an SDK does; `owners` are processes around the executor's core, `matchers` around the
matcher's own coroutines (on the `loop`, in the `group`); they die, come back with old files or none, and wake up as
zombies; `mutants` are faults that must be found; `world` is the one scheduler and clock. A failing seed is repeated
with `python -m tests.simulation SEED`.
"""
