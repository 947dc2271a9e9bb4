"""Verification: small functions made from a seed, run on a real installation, held against what must come out.

`programs` makes them and knows their outcome, `usercode` is what an SDK would answer for them, `reckoning` compares;
these three are pure, and the simulation plays the same seeds with them. The rest is for a real installation:
`served` is the app's server and `mischief` its bad days; `outside` starts runs, gives them what they wait for and
cancels some, by `errands`; `watch` follows the changelog, `stuck` says what is known when nothing goes on; `rounds`
puts one seed together, `verify` many.
"""
