"""A static rendezvous of our own, `static-strict`: torch's interface and store, with a join that knows who joins.

Nothing is imported here, because torchrun loads the entry point (`entry`) in every process that it starts.
docs/rendezvous.md says how it works, what it promises, and what it cannot promise.
"""

BACKEND = "static-strict"
