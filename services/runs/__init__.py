"""The run state machine. Pure: facts in, changelog entries and effects out; time and ids are arguments.

`run` is what a run is (the fold of its changelog), `facts` what may happen to it, `effects` what must be done after
the entries are committed, `advance` the rules. `replies` and `requests` are the SDK's side of it as values.
"""
