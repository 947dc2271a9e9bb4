"""Verification: small functions made from a seed, run on a real installation, held against what must come out.

`programs` makes them and knows their outcome, `usercode` is what an SDK would answer for them, `reckoning` compares;
these three are pure, and the simulation plays the same seeds with them. The rest is for a real installation:
`served` is the app (with its `mischief`), `errands` what the world outside does (events, signals, cancellations),
`watch` follows the changelog, `stuck` notices when nothing goes on, `rounds` puts one seed together.
"""
