"""Faults in what runs, rounds and attempts must not share."""

from __future__ import annotations

from typing import Any

from rdzv_mutants.catalogue import ISOLATION, STOCK, Base, around, mutant


@mutant(
    ISOLATION,
    "all runs on one server share their keys",
    ("two-runs-on-one-server-do-not-share-keys", "two-runs-have-separate-counters"),
)
def runs_share_keys(base: Base) -> None:
    @around(base.part("keys").Incarnation, "prefix")
    def prefix(original: Any, self: Any, run_id: str, number: int) -> str:
        return f"run.{number}"


@mutant(
    ISOLATION, "all runs on one server share their keys", ("two-runs-on-one-server-do-not-share-keys",), of=(STOCK,)
)
def prefix_is_missing(base: Base) -> None:
    def init(self: Any, prefix: str, store: Any) -> None:
        super(base.store, self).__init__("", store)

    base.store.__init__ = init


@mutant(
    ISOLATION,
    "two runs whose ids differ in case only share their keys",
    ("run-ids-that-differ-in-case-do-not-share-keys",),
)
def run_ids_ignore_case(base: Base) -> None:
    @around(base.part("keys").Incarnation, "prefix")
    def prefix(original: Any, self: Any, run_id: str, number: int) -> str:
        return f"{run_id.lower()}.{number}"


@mutant(
    ISOLATION,
    "a key with a slash may be the key of another run whose id has a slash",
    ("run-ids-with-slashes-do-not-collide",),
)
def slashes_collide(base: Base) -> None:
    @around(base.part("keys").Incarnation, "prefix")
    def prefix(original: Any, self: Any, run_id: str, number: int) -> str:
        return run_id if number == 1 else f"{run_id}+{number}"


@mutant(
    ISOLATION,
    "a round sees the keys of the round before it",
    ("a-second-round-does-not-see-the-first-rounds-keys",),
)
def rounds_share_keys(base: Base) -> None:
    @around(base.part("keys").Incarnation, "prefix")
    def prefix(original: Any, self: Any, run_id: str, number: int) -> str:
        return original(self, run_id, 1)


@mutant(
    ISOLATION,
    "a worker joins whichever run is open at the endpoint",
    ("two-jobs-on-one-port-do-not-merge", "a-store-of-another-run-is-not-joined"),
)
def any_run_is_joined(base: Base) -> None:
    @around(base.part("keys"), "record")
    def record(original: Any, run_id: str) -> str:
        return original("any")


@mutant(
    ISOLATION,
    "an agent's next attempt sees the keys that workers of the last one wrote",
    ("a-new-attempt-does-not-see-the-previous-attempts-keys",),
)
def attempts_share_the_agents_store(base: Base) -> None:
    base.handler._release_agent_store = lambda self: None
