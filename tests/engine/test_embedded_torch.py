"""The store of an installed torch through the engine: its messages are read by the codes of its header."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from backends import Backend, started

from harness.engine.wire.grammar import CODES, codes_in

pytestmark = pytest.mark.needs_torch

CLIENT = """
import json, sys, time
from datetime import timedelta
from torch.distributed import TCPStore

def attempt(call):
    began = time.monotonic()
    try:
        value = call()
        said = value if isinstance(value, (int, type(None))) else str(value)
    except Exception as error:
        said = type(error).__name__
    print(json.dumps([said, time.monotonic() - began]), flush=True)

master = TCPStore("127.0.0.1", 0, None, True, timedelta(seconds=5), wait_for_workers=False)
print(master.port, flush=True)
client = TCPStore("127.0.0.1", int(input()), None, False, timedelta(seconds=30), wait_for_workers=False)
client.set_timeout(timedelta(seconds=1))
"""


@pytest.fixture(scope="module")
def header(rank_python: str) -> Path:
    """The header that lists the codes; its place differs between versions of torch."""
    code = "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
    root = Path(subprocess.run([rank_python, "-c", code], capture_output=True, text=True, check=True).stdout.strip())
    found = sorted(root.glob("include/torch/csrc/distributed/c10d/**/TCPStoreBackend.hpp"))
    if not found:
        pytest.skip(f"{root} has no headers")
    return found[0]


@pytest.fixture
def engine(tmp_path: Path, header: Path):
    """An engine that has read that header."""
    with started("embedded", tmp_path, "--store-header", str(header)) as backend:
        yield backend


def played(engine: Backend, rank_python: str, toxics: list[dict[str, Any]], *calls: str) -> list[list[Any]]:
    """What each call of a client returned or raised, and its seconds, with toxics in place from the start."""
    script = CLIENT + "".join(f"attempt(lambda: {call})\n" for call in calls)
    with subprocess.Popen(
        [rank_python, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as ranks:
        assert ranks.stdout is not None
        proxy = engine.make(f"127.0.0.1:{int(ranks.stdout.readline())}", name="link")
        for toxic in toxics:
            assert engine.ask("POST", f"{proxy.path}/toxics", toxic).status == 200
        said, wrong = ranks.communicate(f"{proxy.address[1]}\n", timeout=60)
        assert ranks.returncode == 0, f"{wrong} {engine.ask('GET', '/x/events').body!r}"
    return [json.loads(line) for line in said.splitlines()]


def test_a_torch_lists_the_codes_that_we_know(header: Path):
    """An older torch lists fewer codes, but no other ones."""
    codes = codes_in(header.read_text("utf-8"))
    assert len(codes) >= 14
    assert codes.items() <= dict(CODES).items()


def test_every_call_of_a_client_is_read(engine: Backend, rank_python: str):
    """The log has its keys, and a reply for each query that has one; the decoder never gives up."""
    calls = ["client.set('a', '1')", "client.get('a')", "client.add('n', 2)", "client.check(['a', 'b'])"]
    calls += ["client.multi_set(['x', 'y'], ['1', '2'])", "client.multi_get(['x', 'y'])", "client.num_keys()"]
    calls += ["client.compare_set('a', '1', '2')", "client.append('a', '3')", "client.delete_key('a')"]
    calls += ["client.wait(['missing'])"]
    returned = [value for value, _ in played(engine, rank_python, [], *calls)]
    assert returned[1:4] == ["b'1'", 2, False]
    assert returned[-1] in ("DistStoreError", "RuntimeError")
    events = engine.ask("GET", "/x/events?proxy=link").json["events"]
    assert [e for e in events if e["event"] == "transparent"] == []
    queries = [e for e in events if e["event"] == "query"]
    assert {e["kind"] for e in queries} >= {"set", "get", "add", "check", "multi_set", "multi_get", "getnumkeys"}
    assert {key for e in queries for key in e.get("keys", ())} == {"/a", "/n", "/b", "/x", "/y", "/missing"}
    replies = [e["kind"] for e in events if e["event"] == "reply"]
    assert replies[-1] == "cancel_wait"
    assert replies.count("add") == 1
    check_sound(engine.ask("GET", "/x/messages?proxy=link").json["messages"])


def check_sound(rows: list[dict[str, Any]]) -> None:
    """Every message has passed, and each reply came after its query; one that waits is answered by its cancel."""
    assert {row["fate"] for row in rows} == {"passed"}
    assert all(row["time_ns"] <= row["sent_ns"] for row in rows)
    queries = {row["number"]: row for row in rows if row["side"] == "query"}
    replies = [row for row in rows if row["side"] == "reply"]
    assert replies
    for reply in replies:
        query = queries[reply["answers"]]
        assert (query["kind"], query.get("keys")) == (reply["kind"], reply.get("keys"))
        assert query["sent_ns"] <= reply["time_ns"]
    answered = {reply["answers"] for reply in replies}
    unanswered = [row["kind"] for number, row in queries.items() if number not in answered]
    assert set(unanswered) == {"validate", "set", "multi_set", "append", "wait"}


def rows_with(toxic: str, engine: Backend) -> list[dict[str, Any]]:
    """All messages, once one of them was hit: the client may end before the reply has arrived."""
    last = 0
    while True:
        rows: list[dict[str, Any]] = engine.ask("GET", "/x/messages?proxy=link").json["messages"]
        if any(row.get("by") == toxic for row in rows):
            return rows
        news = engine.ask("GET", f"/x/events?since={last}&wait_ms=5000").json
        assert news["events"], f"no message was hit: {rows}"
        last = news["last"]


@pytest.mark.parametrize(
    ("kind", "attributes", "calls", "fate"),
    [
        (
            "x_drop_query",
            {"query": "set"},
            ["client.set('a', '1')", "client.check(['a'])"],
            ("query", "set", "dropped"),
        ),
        ("x_cut", {"reply": "add", "how": "rst"}, ["client.add('n', 1)"], ("reply", "add", "cut")),
    ],
)
def test_what_a_toxic_does_to_a_message_is_its_fate(
    engine: Backend, rank_python: str, kind: str, attributes: dict[str, Any], calls: list[str], fate: tuple[str, ...]
):
    """Of all that torch's client and server send, the one message is hit and no other."""
    played(engine, rank_python, [{"name": "hit", "type": kind, "attributes": attributes}], *calls)
    rows = engine.ask("GET", "/x/messages?proxy=link").json["messages"]
    assert [(row["side"], row["kind"], row["fate"]) for row in rows if row.get("by") == "hit"] == [fate]
    assert {row["fate"] for row in rows if row.get("by") != "hit"} == {"passed"}


def test_an_add_whose_reply_is_lost_has_happened(engine: Backend, rank_python: str):
    """The client waits without end; the master has counted one."""
    drop = {"name": "hit", "type": "x_drop_reply", "attributes": {"reply": "add", "key": "n"}}
    calls = ["__import__('threading').Thread(target=client.add, args=('n', 1), daemon=True).start()"]
    calls += ["master.wait(['n'])", "master.add('n', 0)", "__import__('os')._exit(0)"]
    returned = [value for value, _ in played(engine, rank_python, [drop], *calls)]
    assert returned[2] == 1
    assert [(row["kind"], row["fate"]) for row in rows_with("hit", engine) if row.get("by")] == [("add", "dropped")]


def test_one_kind_of_reply_is_late_and_no_other(engine: Backend, rank_python: str):
    """The reply to an add is late, the one to a check is not."""
    hold = {"name": "hit", "type": "x_hold", "attributes": {"reply": "add", "duration": 500}}
    (check, fast), (added, slow) = played(engine, rank_python, [hold], "client.check(['a'])", "client.add('n', 1)")
    assert (check, added) == (False, 1)
    assert slow >= 0.497
    assert fast < slow
    (held,) = [row for row in rows_with("hit", engine) if row.get("by")]
    assert (held["kind"], held["fate"]) == ("add", "passed")
    assert 500_000_000 <= held["held_ns"] <= held["sent_ns"] - held["time_ns"]
