"""CEL expressions over events, with the protocol's semantics: compiled once, evaluated as Python closures. Pure.

From the bottom up: `syntax` (text → tree, by the CEL library's parser), `values` (equality, order, truth of what JSON
holds), `times` (dates and durations), `library` (the functions one may call), `evaluation` (tree → closure), and
`expression`, all that most others need. For waits: `paths` (a place in an event, and the text of its value), `reads`
(what an expression reads), `split`.
"""
