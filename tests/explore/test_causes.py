"""The reviewed file of known causes: what was measured is explained, and what is new is not."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.explore.causes import REVIEWED, explained, explaining, known_subjects, reviewed
from harness.explore.observation import Signature
from harness.explore.traits import SHAPES, traits
from harness.loader import catalogue
from harness.values.errors import HarnessError, ScenarioError

ROOT = Path(__file__).parents[2]
TORCH = "2.15.0+cpu"
LOST = "connection lost"
TIMED_OUT = "The client socket has timed out after <time> while trying to connect to <address>."
WAITED = "wait timeout after <time>, keys: <path>"


def world(*faults: str, **keys: Any) -> dict[str, Any]:
    """A scenario of two ranks with these faults."""
    return {
        "world": {"size": 2, "timeout": "1s", **keys.pop("world", {})},
        "workload": [{"do": "rendezvous"}, *keys.pop("steps", ())],
        "faults": [{"inject": fault, **keys} for fault in faults],
    }


def call(check: str, verb: str, outcome: str = "ok", role: str = "worker", **keys: Any) -> Signature:
    return Signature(check, verb, role, outcome, **keys)


AGAIN = {"steps": [{"do": "rendezvous", "ranks": 1}]}
SECOND = {"steps": [{"do": "rendezvous", "handler": "second", "run_id": "second"}]}

# As plays of stock showed them: of the scenarios that have these references, and of drawn drafts.
MEASURED = [
    ("F02", call("no_hang", "add", "hung", wire="reply add lost"), world("x_drop_reply")),
    ("F02", call("deadline", "add", "hung", wire="query add lost"), world("x_drop_query")),
    ("F02", call("deadline", "get", "failed", error="DistNetworkError", message=LOST), world("blackhole")),
    ("F02", call("deadline", "rendezvous", "failed", error="DistNetworkError", message=LOST), world("partition")),
    ("F02", call("no_hang", "clone", "hung", wire="reply get passed"), world("x_cut", "x_drop_query")),
    ("F02", call("no_hang", "check", "hung", wire="reply get passed"), world("x_cut", how="silence")),
    ("F02", call("no_hang", "rendezvous", "hung", wire="reply ping lost"), world("x_drop_query")),
    ("F03", call("deadline", "rendezvous"), world("pause")),
    ("F03", call("deadline", "num_keys"), world("pause")),
    ("F03", call("deadline", "get", "failed", error="DistStoreError", message=WAITED), world("pause")),
    (
        "F22",
        call("no_hang", "exit", "hung", "master", frames=("wait", "barrier", "SimpleElasticAgent._exit_barrier")),
        world("reset_peer"),
    ),
    ("F09", call("linearizable", "compare_set", role="master"), world("x_drop_query", query="multi_set")),
    ("F05", call("agreement", "rendezvous", role="master"), world("limit_data", **AGAIN)),
    ("F05", call("agreement", "rendezvous", role="master"), {**world(), "faults": [{"inject": "kill", "for": "1s"}]}),
    ("F05", call("join_identity", "rendezvous", wire="reply add passed"), world("x_cut", **AGAIN)),
    ("F05", call("join_identity", "rendezvous"), world(steps=[{"do": "cycle", "ranks": 1}])),
    (
        "F05",
        call("join_identity", "rendezvous", "failed", error="DistNetworkError", message=LOST),
        world("partition", steps=[{"do": "rendezvous", "handler": "next", "run_id": "train"}]),
    ),
    ("F06", call("agreement", "rendezvous"), world(world={"ranks": {1: {"as_rank": 7}}})),
    ("F06", call("join_identity", "rendezvous", wire="reply add passed"), world(world={"ranks": {2: {"as_rank": 1}}})),
    ("F06", call("agreement", "rendezvous", role="master+worker"), world(world={"ranks": {1: {"world_size": 4}}})),
    ("F07", call("agreement", "rendezvous", role="master"), world(world={"ranks": {0: {"run_id": "a"}}})),
    ("F08", call("agreement", "rendezvous", role="master"), world("latency", **SECOND)),
    ("F12", call("deadline", "rendezvous", "failed", error="DistNetworkError", message=TIMED_OUT), world()),
    ("F12", call("deadline", "rendezvous", "hung"), world("down", "reset_peer")),
    ("F14", call("deadline", "get", "failed", error="DistStoreError", message=WAITED), world("latency")),
    ("F14", call("no_hang", "get", "hung", wire="reply cancel_wait lost"), world("x_drop_reply", **AGAIN)),
    ("F15", call("unaffected", "check", "failed", error="DistNetworkError", message=LOST), world("reset_peer")),
    (
        "F17",
        call("unaffected", "set"),
        world(steps=[{"do": "get", "ranks": 1, "thread": "reader"}, {"do": "set", "ranks": 1}]),
    ),
    ("F25", call("prefix_isolation", "check", role="master"), world(**AGAIN)),
    (
        "F32",
        call(
            "deadline",
            "rendezvous",
            "failed",
            "master",
            error="DistStoreError",
            message="Timed out after <time> waiting for clients. <n>/<n> clients joined.",
        ),
        world(world={"ranks": {1: {"start": "never"}}}),
    ),
    ("F36", call("no_hang", "rendezvous", "hung", role="master"), world("impostor")),
    ("F39", call("no_hang", "rendezvous", "hung"), world("impostor")),
    ("F02", call("deadline", "rendezvous", "hung", wire="reply ping passed"), world("bandwidth")),
    ("F39", call("deadline", "rendezvous", "hung", wire="query ping passed"), world("occupy_port")),
    ("F04", call("no_hang", "rendezvous", "hung", wire="query ping passed"), world(steps=[{"do": "fork_child"}])),
    (
        "F19",
        call("unaffected", "check", "failed", error="DistNetworkError", message=LOST),
        world(steps=[{"do": "set", "key": "k" * 8193}]),
    ),
    (
        "F45",
        call("unaffected", "check", "failed", error="DistNetworkError", message=LOST),
        world(steps=[{"do": "set", "key": "a"}, {"do": "mix", "keys": ["a", "b"], "weights": {"add": 1}}]),
    ),
    ("F12", call("deadline", "rendezvous"), world("x_cut")),
    ("F26", call("closing", "rendezvous", role="master"), world(steps=[{"do": "set_closed"}])),
    (
        "F26",
        call("closing", "rendezvous", "failed", role="master", error="DistStoreError"),
        world("down", steps=[{"do": "shutdown"}]),
    ),
    (
        "F15",
        call("unaffected", "compare_set", "failed", error="DistNetworkError", message=LOST, wire="query add lost"),
        world("partition", **AGAIN),
    ),
    (
        "F39",
        call("deadline", "rendezvous", "failed", error="DistNetworkError", message=LOST, wire="query ping passed"),
        world("occupy_port"),
    ),
    ("F12", call("deadline", "rendezvous", "failed", error="DistNetworkError", message=LOST), world("kill")),
    (
        "F45",
        call("unaffected", "add", "failed", error="DistNetworkError", message=LOST),
        world(steps=[{"do": "set", "key": "a"}, {"do": "add", "key": "a"}]),
    ),
    ("F46", call("linearizable", "add"), world(steps=[{"do": "add", "amount": 2**63 - 1}])),
    ("F48", call("linearizable", "check"), world(world={"run_id": "a/b"})),
    ("F02", call("deadline", "rendezvous", wire="reply add passed"), world("latency")),
    ("F04", call("deadline", "add", "hung", wire="query add passed"), world("x_refuse", steps=[{"do": "fork_child"}])),
    ("F06", call("join_identity", "rendezvous"), world(world={"ranks": {1: {"as_rank": 2}}})),
    ("F12", call("deadline", "rendezvous", "hung", wire="reply ping lost"), world("down", **AGAIN)),
    (
        "F12",
        call("deadline", "rendezvous", "failed", error="DistNetworkError", message=LOST),
        world(steps=[{"do": "drop"}, *SECOND["steps"]]),
    ),
    ("F42", call("no_crash", "rendezvous", "died", "master"), world("file_limit", spare=2)),
    ("F61", call("linearizable", "get", wire="reply get passed"), world(steps=[{"do": "delete_key"}, {"do": "get"}])),
    ("F62", call("linearizable", "wait"), world(steps=[{"do": "compare_set"}, {"do": "wait"}])),
    ("F62", call("linearizable", "get", wire="reply get passed"), world(steps=[{"do": "compare_set"}, {"do": "get"}])),
    (
        "F61",
        call("linearizable", "multi_get", wire="reply multi_get passed"),
        world(steps=[{"do": "delete_key"}, {"do": "multi_get"}]),
    ),
]


@pytest.mark.parametrize(
    ("ref", "signature", "document"), MEASURED, ids=[f"{ref}-{one.check}-{one.verb}" for ref, one, _ in MEASURED]
)
def test_what_stock_is_known_for_is_explained(ref: str, signature: Signature, document: dict[str, Any]) -> None:
    """Also where the scenario is not at hand; then something that matches comes first, or the same."""
    assert explained(signature, "static", TORCH, document) == ref
    assert explained(signature, "static", TORCH) is not None


@pytest.mark.parametrize(("_", "signature", "document"), MEASURED)
def test_the_same_of_another_subject_is_new(_: str, signature: Signature, document: dict[str, Any]) -> None:
    """Of static-strict only its documented limits are known."""
    assert explained(signature, "static-strict", TORCH, document) in (None, "F17", "F19", "F22", "F62")
    assert explained(signature, "another", TORCH, document) is None


NEW = [
    (call("no_hang", "get", "hung", role="master"), world("blackhole")),
    (call("no_hang", "get", "hung"), world("kill")),
    (call("no_hang", "get", "hung"), world("x_cut")),
    (call("no_hang", "set", "hung"), world("blackhole")),
    (call("deadline", "rendezvous", "failed", error="DistNetworkError", message="another text"), world("blackhole")),
    (call("deadline", "get", "failed", error="RuntimeError", message=LOST), world("blackhole")),
    (call("deadline", "add"), world()),
    (call("no_hang", "rendezvous", "hung", wire="reply get passed"), world("x_drop_reply")),
    (call("agreement", "rendezvous", role="master"), world()),
    (call("agreement", "rendezvous", role="worker"), world(**AGAIN)),
    (call("join_identity", "rendezvous"), world("x_cut")),
    (call("prefix_isolation", "get"), world(**SECOND)),
    (call("linearizable", "add"), world(steps=[{"do": "add"}])),
    (call("linearizable", "get"), world("latency", "x_drop_reply", "kill")),
    (call("error_contract", "rendezvous", "failed", error="RuntimeError", message=LOST), world("impostor")),
    (call("unaffected", "get", "failed", error="DistNetworkError", message=LOST), world("latency")),
    (call("unaffected", "set"), world(steps=[{"do": "get", "thread": "coda", "handler": "coda"}])),
    (call("coda-joins", "rendezvous", "failed", error="DistNetworkError", message=LOST), world("reset_peer")),
    (call("benign-join", "rendezvous", "failed", error="DistNetworkError", message=LOST), world("latency")),
    (call("add_once", "add"), world("x_cut")),
    (call("not_early", "rendezvous", "failed", error="DistStoreError"), world()),
    (call("no_crash", "exit", "died"), world("blackhole")),
    (call("linearizable", "get", wire="reply get passed"), world(steps=[{"do": "set"}, {"do": "get"}])),
    (call("linearizable", "multi_get", wire="reply multi_get passed"), world(steps=[{"do": "multi_get"}])),
    (call("error_contract", "rendezvous", "failed", "master", error="RuntimeError"), world("file_limit")),
    (Signature("no_leak"), world("reset_peer")),
]


@pytest.mark.parametrize("subject", ["static", "static-strict"])
@pytest.mark.parametrize(("signature", "document"), NEW, ids=[f"{one.check}-{one.verb}" for one, _ in NEW])
def test_a_failure_that_nobody_has_seen_is_new(signature: Signature, document: dict[str, Any], subject: str) -> None:
    """Each is close to a known one, and differs in one thing: role, verb, fault, message, error or shape."""
    assert explained(signature, subject, TORCH, document) is None


@pytest.mark.parametrize(
    ("size", "stream", "ref"), [("4B", "upstream", "F01"), ("5B", "upstream", None), ("1B", "downstream", None)]
)
@pytest.mark.parametrize("subject", ["static", "static-strict"])
def test_a_greeting_in_pieces_is_a_limit_of_both(subject: str, size: str, stream: str, ref: str | None) -> None:
    """Of pieces that are smaller than a greeting, on the way to the master."""
    failed = call("benign-join", "rendezvous", "failed", error="DistNetworkError", message=LOST)
    assert explained(failed, subject, TORCH, world("slicer", average_size=size, stream=stream)) == ref


@pytest.mark.parametrize(
    ("verb", "role", "moment", "ref"),
    [
        ("rendezvous", "master", {"after": {"step": "join", "is": "begun"}}, "F42"),
        ("rendezvous", "worker", {"after": {"step": "join", "is": "begun"}}, None),
        ("set", "master", {"after": "join"}, None),
        ("rendezvous", "master", {}, None),
    ],
)
def test_a_limit_set_between_a_look_and_the_start_of_the_server_is_one_of_both(
    verb: str, role: str, moment: dict[str, Any], ref: str | None
) -> None:
    """Of 30 plays of such a draft with static-strict 2 ended so: its master had descriptors when it looked."""
    limited = world("file_limit", spare=3, **moment)
    assert explained(call("no_crash", verb, "died", role), "static-strict", TORCH, limited) == ref


def test_the_workers_of_torchrun_have_torchs_own_store() -> None:
    """So what is known of stock is known of them; the agents' joins are the subject's."""
    for ref, signature, document in MEASURED:
        torchrun = {**document, "world": {**document["world"], "torchrun": {}}}
        found = explained(signature, "static-strict", TORCH, torchrun)
        assert found in ((ref,) if signature.verb not in ("rendezvous", "exit") else (None, "F22"))


@pytest.mark.parametrize(
    ("torch", "ref"), [("2.6.0", "F31"), ("2.8.0.dev1+cpu", "F31"), ("2.9.1", None), ("", None), ("x", None)]
)
def test_an_entry_holds_for_its_versions_of_torch(torch: str, ref: str | None) -> None:
    """As PEP 440 has it; a version that is not known fits no range. The messages are those of torch 2.6."""
    held = call("error_contract", "rendezvous", "failed", "master", error="RuntimeError")
    held = replace(
        held, message="The server socket has failed to listen on any local network address. address already in use"
    )
    wrong = replace(held, role="worker", message="INTERNAL ASSERT FAILED Ping failed, invalid nonce returned")
    assert explained(held, "static", torch, world("occupy_port")) == ref
    assert explained(wrong, "static", torch, world("impostor")) == (ref and "F39")
    few = replace(held, message="Failed to init uv loop")
    assert explained(few, "static", torch, world("file_limit")) == (ref and "F42")


def test_the_coda_is_neither_a_second_run_nor_a_second_handler() -> None:
    """Its master joins after the workers, so that a join that was counted twice (F05) is explained as what it is."""
    found = call("agreement", "rendezvous", role="master")
    own = {"do": "rendezvous", "handler": "coda", "run_id": "coda"}
    begun = {"step": "coda-join", "is": "begun"}
    coda = [{"id": "coda-join", "ranks": "workers", **own}, {"id": "coda-open", "ranks": 0, **own, "after": begun}]
    assert explained(found, "static", TORCH, world(steps=[*AGAIN["steps"], *coda])) == "F05"
    assert explained(found, "static", TORCH, world(steps=[*AGAIN["steps"], coda[0]])) == "F08"
    assert explained(found, "static", TORCH, world(steps=coda)) is None


def test_known_causes_are_kept_of_both_subjects_of_ours() -> None:
    """So these are what a backend can be like."""
    assert known_subjects() == ["static", "static-strict"]


def test_every_reference_exists_and_is_a_documented_limit_of_static_strict() -> None:
    """In the list of failures, or in the page on static-strict."""
    listed = set(re.findall(r"^(F\d\d):", (ROOT / "harness/reference/failures.yaml").read_text(), re.MULTILINE))
    limits = (ROOT / "docs/rendezvous.md").read_text()
    for cause in reviewed():
        assert cause.ref in listed
        assert "static-strict" not in cause.subjects or cause.ref in limits
        assert not cause.because.endswith(".")


def test_no_entry_explains_all_that_a_check_finds() -> None:
    """It names its check in full, but for claims whose names the explorer makes; and all that it names exists."""
    words = {f"fault {member.kind}" for member in catalogue()["fault"]} | {"fault x_cut silence"}
    words |= {f"verb {member.kind}" for member in catalogue()["step"]} | set(SHAPES)
    for cause in reviewed():
        assert [one for one in cause.fields["check"] if "*" in one and one != "benign-*"] == []
        assert [one for values in cause.fields.values() for one in values if not one.strip("*")] in ([], [""])
        assert {one for part in cause.when for one in part} <= words


def test_the_entry_says_why() -> None:
    """With its line, for those who review it."""
    cause = explaining(MEASURED[0][1], "static", TORCH, MEASURED[0][2])
    assert cause is not None
    assert cause.because == "replies are read without a deadline"
    assert REVIEWED.read_text().splitlines()[cause.line - 1].strip() == "- ref: F02"


ENTRY = "causes:\n- {ref: F02, because: so it is, subject: static, check: no_hang, verb: get}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("causes: 5\n", "there is no list `causes`"),
        ("causes:\n- 5\n", ":2: an entry is a mapping"),
        (ENTRY.replace("verb: get", "noun: get"), ":2: there is no key 'noun'"),
        (ENTRY.replace("ref: F02, ", ""), ":2: ref is missing"),
        (ENTRY.replace(", verb: get", ""), ":2: it explains too much: give one of verb, error"),
        (ENTRY.replace("verb: get", "verb: 5"), ":2: verb is not a text, or a list of texts"),
        (ENTRY.replace("verb: get", "verb: []"), ":2: verb is not a text, or a list of texts"),
        (ENTRY.replace("so it is", "[so, it is]"), ":2: because is not one text"),
        (ENTRY.replace("verb: get", "verb: get, torch: new"), ":2: torch is 'new', not a range of versions"),
    ],
)
def test_a_malformed_entry_is_named_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    """A pattern that is silently left out would let a failure be reported as new, or hide one."""
    path = tmp_path / "causes.yaml"
    path.write_text(text)
    with pytest.raises(HarnessError, match=re.escape(message)):
        reviewed(path)


def test_a_file_that_is_not_yaml_is_named(tmp_path: Path) -> None:
    """With the place."""
    path = tmp_path / "causes.yaml"
    path.write_text("causes: [\n")
    with pytest.raises(ScenarioError, match=r"causes\.yaml:2:1"):
        reviewed(path)


@pytest.mark.parametrize(
    "document",
    [{}, {"world": 5, "workload": 5, "faults": [5, None]}, {"workload": [{"do": "rendezvous", "ranks": {"a": 1}}]}],
)
def test_traits_of_any_mapping(document: dict[str, Any]) -> None:
    """A draft that does not load has traits too, and no error."""
    assert traits(document) <= {"no fault", "fault None", "verb rendezvous"}
