"""The log of messages says of each one what became of it, whichever toxic delayed, cut or swallowed its bytes."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest
from backends import Backend, Proxy, Upstream, ending, nothing, read, started
from store_traffic import Talk, number, query, text

MS = 1_000_000


def logged(engine: Backend, proxy: Proxy) -> list[dict[str, Any]]:
    """The messages after the greeting."""
    answer = engine.ask("GET", f"/x/messages?proxy={proxy.name}").json
    assert (answer["more"], answer["dropped"]) == (False, 0)
    rows: list[dict[str, Any]] = answer["messages"]
    assert [row["number"] for row in rows] == sorted({row["number"] for row in rows})
    return rows[3:]


def fates(engine: Backend, proxy: Proxy) -> list[tuple[str, str, str, str]]:
    return [(row["side"], row["kind"], row["fate"], row.get("by", "")) for row in logged(engine, proxy)]


def held_ms(row: dict[str, Any]) -> float:
    """From its first byte to its last one sent on."""
    return float(row["sent_ns"] - row["time_ns"]) / MS


def test_a_message_that_passed_has_its_times_and_its_query(engine: Backend, proxy: Proxy, talk: Talk):
    """Both times lie between its sending and its arrival; a reply names the query that it answers."""
    before = time.monotonic_ns()
    talk.ask("set", "/run/a", "value")
    talk.ask("add", "/run/n", 1)
    talk.answer(number(1))
    after = time.monotonic_ns()
    written, asked, replied = logged(engine, proxy)
    assert [(row["side"], row["kind"], row["keys"]) for row in (written, asked, replied)] == [
        ("query", "set", ["/run/a"]), ("query", "add", ["/run/n"]), ("reply", "add", ["/run/n"]),
    ]  # fmt: skip
    for row in (written, asked, replied):
        assert before <= row["time_ns"] <= row["sent_ns"] <= after
        assert (row["fate"], row.keys() & {"by", "held_ns"}) == ("passed", set())
    assert replied["answers"] == asked["number"]
    assert "answers" not in asked


def test_the_time_is_that_of_the_first_byte(engine: Backend, proxy: Proxy, talk: Talk):
    """The head of a message may come in two reads, and another message before it in the first of them."""
    asked, following = query("get", "/key"), query("get", "/other")
    talk.client.sendall(asked + following[:3])
    assert read(talk.server, len(asked)) == asked
    between = time.monotonic_ns()
    talk.client.sendall(following[3:])
    assert read(talk.server, len(following)) == following
    first, second = logged(engine, proxy)
    assert first["time_ns"] <= second["time_ns"] <= between <= second["sent_ns"]


def test_a_dropped_message_has_its_toxic(engine: Backend, proxy: Proxy, talk: Talk):
    """A dropped query gets no reply, and the reply to the next one names that one."""
    proxy.toxic("x_drop_query", query="get", name="lost")
    talk.client.sendall(query("get", "/a"))
    assert nothing(talk.server)
    talk.ask("get", "/b")
    talk.answer(text("b"))
    proxy.toxic("x_drop_reply", reply="add", name="mute")
    talk.ask("add", "/n", 1)
    talk.server.sendall(number(1))
    assert nothing(talk.client)
    assert fates(engine, proxy) == [
        ("query", "get", "dropped", "lost"),
        ("query", "get", "passed", ""),
        ("reply", "get", "passed", ""),
        ("query", "add", "passed", ""),
        ("reply", "add", "dropped", "mute"),
    ]
    rows = logged(engine, proxy)
    assert (rows[2]["answers"], rows[4]["answers"]) == (rows[1]["number"], rows[3]["number"])


def test_a_held_message_has_its_time_and_its_toxic(engine: Backend, proxy: Proxy, talk: Talk):
    """While it is held it is kept; then it has passed, and the time for which it was held is known."""
    name = proxy.toxic("x_hold", query="add", name="slow")
    talk.client.sendall(query("add", "/n", 1))
    assert nothing(talk.server)
    assert fates(engine, proxy) == [("query", "add", "kept", "slow")]
    proxy.remove(name)
    assert read(talk.server, 1)
    (row,) = logged(engine, proxy)
    assert (row["fate"], row["by"]) == ("passed", "slow")
    assert 0 < row["held_ns"] <= row["sent_ns"] - row["time_ns"]


@pytest.mark.parametrize(("how", "fate"), [("fin", "cut"), ("rst", "cut"), ("silence", "dropped")])
@pytest.mark.parametrize(("when", "passed"), [("before", 1), ("after", 2)])
def test_a_cut_at_a_message_takes_all_that_follow(
    engine: Backend, proxy: Proxy, talk: Talk, how: str, when: str, passed: int, fate: str
):
    """From that message on, or from the next; what is swallowed on a silent connection is still decoded."""
    proxy.toxic("x_cut", query="add", how=how, when=when, name="cut")
    asked, added = query("get", "/a"), query("add", "/n", 1)
    talk.client.sendall(asked + added + query("set", "/k", "v"))
    assert read(talk.server, len(asked)) == asked
    if how == "silence":
        talk.client.sendall(query("check", ["/k"]))
        read(talk.server, len(added) if passed == 2 else 0)
        assert nothing(talk.server)
        rest = [("query", kind, fate, "cut") for kind in ("add", "set", "check")]
    else:
        assert ending(talk.client)[0] == b""
        rest = [("query", "add", fate, "cut")]
    known = [("query", "get", "passed", ""), ("query", "add", "passed", "")][:passed]
    assert fates(engine, proxy) == known + rest[passed - 1 :]


@pytest.mark.parametrize(
    ("kind", "attributes", "least_ms"),
    [
        ("latency", {"latency": 200}, 200),
        ("slicer", {"average_size": 7, "size_variation": 0, "delay": 50_000}, 100),
        ("bandwidth", {"rate": 1}, 20),
        ("x_stall", {"duration": 200}, 1),
    ],
)
def test_a_later_toxic_moves_the_time_of_sending(
    engine: Backend, proxy: Proxy, talk: Talk, kind: str, attributes: Any, least_ms: float
):
    """A message has passed when its last byte is written, not when it leaves the decoder."""
    proxy.toxic(kind, stream="upstream", **attributes)
    talk.ask("get", "/a-key-of-many-bytes")
    (row,) = logged(engine, proxy)
    assert (row["fate"], "by" in row) == ("passed", False)
    assert held_ms(row) >= least_ms


def test_a_stalled_message_is_kept_and_then_passes(engine: Backend, proxy: Proxy, talk: Talk):
    """Also if the toxic that holds its bytes is removed."""
    name = proxy.toxic("x_stall", stream="upstream")
    talk.client.sendall(query("get", "/a"))
    assert nothing(talk.server)
    assert fates(engine, proxy) == [("query", "get", "kept", "")]
    proxy.remove(name)
    assert read(talk.server, len(query("get", "/a")))
    assert fates(engine, proxy) == [("query", "get", "passed", "")]


def test_a_swallowed_message_is_dropped_and_one_behind_a_gap_passes(engine: Backend, proxy: Proxy, talk: Talk):
    """A timeout swallows bytes; once its toxicity spares the connection, later messages pass."""
    name = proxy.toxic("timeout", stream="upstream", name="hole")
    talk.client.sendall(query("set", "/a", "v") + query("get", "/a"))
    assert nothing(talk.server)
    proxy.change(name, toxicity=0.0, timeout=0)
    talk.ask("set", "/b", "v")
    assert fates(engine, proxy) == [
        ("query", "set", "dropped", "hole"), ("query", "get", "dropped", "hole"), ("query", "set", "passed", ""),
    ]  # fmt: skip


def test_a_toxic_that_ends_the_connection_has_cut_what_was_behind(engine: Backend, proxy: Proxy, talk: Talk):
    """A limit of bytes passes one message and a part of the next."""
    asked = query("get", "/a")
    proxy.toxic("limit_data", stream="upstream", bytes=len(asked) + 5, name="limit")
    talk.client.sendall(asked + query("add", "/n", 1))
    assert ending(talk.server)[0] == asked + query("add", "/n", 1)[:5]
    assert fates(engine, proxy) == [("query", "get", "passed", ""), ("query", "add", "cut", "limit")]


@pytest.mark.parametrize(
    ("kind", "attributes"), [("timeout", {"timeout": 100}), ("reset_peer", {}), ("x_cut", {"bytes": 2})]
)
def test_a_toxic_that_cuts_is_named(engine: Backend, proxy: Proxy, talk: Talk, kind: str, attributes: Any):
    """What a timeout swallowed before it closed is dropped, the rest was cut by the toxic."""
    proxy.toxic(kind, stream="upstream", name="end", **attributes)
    talk.client.sendall(query("add", "/n", 1))
    ending(talk.client)
    assert fates(engine, proxy) == [("query", "add", "dropped" if kind == "timeout" else "cut", "end")]


def test_a_reset_of_open_connections_cuts_both_directions(engine: Backend, proxy: Proxy, talk: Talk):
    """The bytes that another toxic held are lost with the connection."""
    proxy.toxic("latency", stream="downstream", latency=60_000)
    talk.ask("get", "/a")
    talk.server.sendall(text("v"))
    talk.client.sendall(query("get", "/b")[:4])
    assert nothing(talk.client)
    proxy.toxic("x_rst_now", stream="upstream", name="reset")
    ending(talk.client)
    assert fates(engine, proxy) == [("query", "get", "passed", ""), ("reply", "get", "cut", "reset")]


def test_a_connection_that_no_toxic_ended_has_cut_its_messages_too(engine: Backend, proxy: Proxy, talk: Talk):
    """No toxic is named then."""
    proxy.toxic("x_stall", stream="upstream")
    talk.client.sendall(query("get", "/a"))
    assert nothing(talk.server)
    (connection,) = engine.ask("GET", f"/x/connections?proxy={proxy.name}").json["connections"]
    engine.ask("DELETE", f"/x/connections/{connection['id']}")
    ending(talk.client)
    assert fates(engine, proxy) == [("query", "get", "cut", "")]


def test_a_big_message_passes_with_its_last_byte(engine: Backend, proxy: Proxy, talk: Talk):
    """It comes in many reads, and more than the buffers take: until then it is kept."""
    said = query("set", "/big", bytes(8 << 20))
    talk.client.setblocking(False)
    sent = talk.client.send(said)
    assert read(talk.server, 1)
    assert fates(engine, proxy) == [("query", "set", "kept", "")]
    got = 1
    while got < len(said):
        got += len(talk.server.recv(1 << 20))
        if sent < len(said):
            with contextlib.suppress(BlockingIOError):
                sent += talk.client.send(said[sent:])
    assert fates(engine, proxy) == [("query", "set", "passed", "")]


def test_a_proxy_that_is_made_anew_begins_with_an_empty_log(engine: Backend, upstream: Upstream):
    """Its name may have been that of another play."""
    for _ in range(2):
        proxy = engine.make(upstream, name="link")
        with proxy.connect() as client, upstream.accept() as server:
            Talk(client, server).greet()
        assert len(engine.ask("GET", "/x/messages?proxy=link").json["messages"]) == 3
        assert engine.ask("DELETE", proxy.path).status == 204
    assert engine.ask("GET", "/x/messages").json["messages"] == []


def test_what_is_beyond_the_limit_is_counted(tmp_path: Path, upstream: Upstream):
    """The newest messages stay, of all proxies together; each proxy's share of the dropped ones is known."""
    with started("embedded", tmp_path, "--messages", "5") as engine:
        assert engine.ask("GET", "/x").json["kept_messages"] == 5
        first, second = engine.make(upstream, name="first"), engine.make(upstream, name="second")
        for proxy in (first, second):
            with proxy.connect() as client, upstream.accept() as server:
                Talk(client, server).greet().ask("set", "/a", "v")
        counts = {
            proxy.name: (len(answer["messages"]), answer["dropped"])
            for proxy in (first, second)
            for answer in [engine.ask("GET", f"/x/messages?proxy={proxy.name}").json]
        }
        assert counts == {"first": (1, 3), "second": (4, 0)}
        both = engine.ask("GET", "/x/messages?proxy=first&proxy=second").json
        assert (len(both["messages"]), both["dropped"]) == (5, 3)


def test_the_log_is_read_in_pages(engine: Backend, proxy: Proxy, talk: Talk):
    """More messages than one answer has are read one page after the other, each message once."""
    sets = query("set", "/a", "") * 6_000
    talk.client.sendall(sets)
    assert len(read(talk.server, len(sets))) == len(sets)
    numbers: list[int] = []
    more = True
    while more:
        since = numbers[-1] if numbers else 0
        answer = engine.ask("GET", f"/x/messages?proxy={proxy.name}&since={since}").json
        numbers += [row["number"] for row in answer["messages"]]
        more = answer["more"]
    assert len(numbers) == len(set(numbers)) == 6_003


def test_after_the_decoder_has_given_up_the_last_message_still_ends(engine: Backend, proxy: Proxy, talk: Talk):
    """A message before bytes that are no query has passed with them, and one connection is not decoded any more."""
    said = query("set", "/a", "v") + b"\x7f"
    talk.client.sendall(said)
    assert read(talk.server, len(said)) == said
    assert fates(engine, proxy) == [("query", "set", "passed", "")]
    assert engine.ask("GET", f"/x/messages?proxy={proxy.name}").json["undecoded"] == 1
