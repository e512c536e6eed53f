"""Toxics and moments on the store's protocol act on exactly the message that was meant, and on the very next byte."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from backends import LIMIT_SECONDS, Backend, Proxy, Upstream, ending, is_open, late, nothing, now_ms, read
from store_traffic import GREETING, Talk, number, query, text


def logged(engine: Backend, proxy: Proxy, *kinds: str) -> list[dict[str, Any]]:
    found = engine.ask("GET", f"/x/events?proxy={proxy.name}").json["events"]
    return [event for event in found if event["event"] in kinds]


def test_every_message_and_key_is_in_the_log(engine: Backend, proxy: Proxy, talk: Talk):
    """In order, each with its connection; the number that a ping sent may be the client's process id."""
    talk.ask("set", "/run/a", "value")
    talk.ask("add", "/run/n", 1)
    talk.answer(number(1))
    talk.ask("wait", ["/run/b", "/run/c"])
    talk.answer(b"\x00")
    seen = [(e["event"], e["kind"], e.get("keys")) for e in logged(engine, proxy, "query", "reply")]
    assert seen == [
        ("query", "validate", None),
        ("query", "ping", None),
        ("reply", "ping", None),
        ("query", "set", ["/run/a"]),
        ("query", "add", ["/run/n"]),
        ("reply", "add", ["/run/n"]),
        ("query", "wait", ["/run/b", "/run/c"]),
        ("reply", "wait", ["/run/b", "/run/c"]),
    ]
    assert logged(engine, proxy, "query")[1]["sent"] == 0x3BFD


def test_what_comes_in_one_read_goes_in_one_write(proxy: Proxy, upstream: Upstream):
    """Greetings and queries are not split: a server, as torch's does, may reject a split greeting."""
    said = GREETING + query("set", "/a", "v") + query("add", "/n", 1)
    with proxy.connect() as client:
        client.sendall(said)
        with upstream.accept() as server:
            assert server.recv(1000) == said


def test_a_reply_is_dropped_and_the_query_was_not(engine: Backend, proxy: Proxy, talk: Talk):
    """The second reply to an add of that key is dropped: the add happened, and the client does not know."""
    proxy.toxic("x_drop_reply", reply="add", key="run/*", nth=2)
    for key, value, comes in (("/run/n", 1, True), ("/other", 1, True), ("/run/m", 2, False), ("/run/n", 3, True)):
        talk.ask("add", key, 1)
        talk.server.sendall(number(value))
        assert (read(talk.client, 8) == number(value)) if comes else nothing(talk.client)
    (fired,) = logged(engine, proxy, "fired")
    assert (fired["toxic"], fired["what"], fired["message"]) == ("x_drop_reply_downstream", "drop", "add")


def test_a_query_is_dropped_and_the_next_is_answered(proxy: Proxy, talk: Talk):
    """The server never sees the dropped query, and later replies still match their queries."""
    proxy.toxic("x_drop_query", query="get")
    talk.client.sendall(query("get", "/a"))
    assert nothing(talk.server)
    talk.ask("get", "/b")
    talk.answer(text("value of b"))
    talk.ask("add", "/n", 1)
    talk.answer(number(1))


@pytest.mark.parametrize(("times", "dropped"), [(2, 2), (0, 4)])
def test_several_messages_are_hit(proxy: Proxy, talk: Talk, times: int, dropped: int):
    """So many from the n-th match on, or all."""
    proxy.toxic("x_drop_query", query="set", nth=2, times=times)
    sets = [query("set", f"/{index}", "v") for index in range(5)]
    talk.client.sendall(b"".join(sets))
    talk.client.shutdown(socket.SHUT_WR)
    passed = [sets[0], *sets[1 + dropped :]]
    assert ending(talk.server)[0] == b"".join(passed)


def test_messages_are_counted_over_all_connections_or_on_each(proxy: Proxy, talks: Callable[[], Talk]):
    """`per` says which."""
    one, other = talks(), talks()
    name = proxy.toxic("x_drop_query", query="set", nth=2)
    one.ask("set", "/a", "v")
    other.client.sendall(query("set", "/a", "v"))
    assert nothing(other.server)
    proxy.remove(name)
    proxy.toxic("x_drop_query", query="set", nth=2, per="connection", name="each")
    for each in (one, other):
        each.ask("set", "/a", "v")
        each.client.sendall(query("set", "/b", "v"))
        assert nothing(each.server)


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize(("when", "passes"), [("before", False), ("after", True)])
def test_a_connection_is_cut_at_a_query(proxy: Proxy, talk: Talk, how: str, when: str, passes: bool):
    """Before its first byte; or after its last, and then the server keeps a waiter for a dead client."""
    proxy.toxic("x_cut", query="wait", key="*ready", how=how, when=when)
    wait, following = query("wait", ["/run/ready"]), query("get", "/run/ready")
    talk.client.sendall(query("wait", ["/run/other"]) + wait + following)
    said, end = ending(talk.server)
    assert said == query("wait", ["/run/other"]) + (wait if passes else b"")
    assert end == ("eof" if how == "fin" else "rst")
    assert ending(talk.client)[0] == b""


def test_a_connection_is_cut_at_a_reply(proxy: Proxy, talk: Talk):
    """The client does not get the reply to its last query."""
    proxy.toxic("x_cut", reply="get", nth=2, how="rst")
    talk.ask("get", "/a")
    talk.answer(text("first"))
    talk.ask("get", "/a")
    talk.server.sendall(text("second"))
    assert ending(talk.client) == (b"", "rst")


def test_a_connection_falls_silent_at_a_query(proxy: Proxy, talk: Talk):
    """Nothing from the client passes any more; the server's bytes still do."""
    proxy.toxic("x_cut", query="add", how="silence", when="after")
    talk.ask("add", "/n", 1)
    talk.client.sendall(query("set", "/a", "v"))
    assert nothing(talk.server)
    talk.answer(number(1))


def test_one_kind_of_reply_is_held_for_a_while(proxy: Proxy, talk: Talk):
    """Other replies are not late."""
    proxy.toxic("x_hold", reply="wait", duration=300)
    talk.ask("add", "/n", 1)
    began = now_ms()
    talk.answer(number(1))
    assert now_ms() - began < 290
    talk.ask("wait", ["/n"])
    began = now_ms()
    talk.answer(b"\x00")
    assert late(began, 300)


def test_a_message_is_held_until_the_toxic_is_taken_away(proxy: Proxy, talks: Callable[[], Talk]):
    """Changes of other toxics do not release it; messages of other connections pass."""
    held, free = talks(), talks()
    name = proxy.toxic("x_hold", query="add", key="first")
    held.client.sendall(query("add", "/first", 1))
    proxy.remove(proxy.toxic("latency", stream="upstream", latency=1))
    proxy.remove(proxy.toxic("x_drop_query", query="compare_set"))
    assert nothing(held.server)
    free.ask("add", "/second", 1)
    proxy.remove(name)
    assert read(held.server, len(query("add", "/first", 1))) == query("add", "/first", 1)


def test_a_big_value_passes_though_it_comes_in_many_reads(proxy: Proxy, talk: Talk):
    """The query behind it is still recognized."""
    value = bytes(range(256)) * 4096
    said = query("set", "/big", value)
    talk.client.setblocking(False)
    sent = got = 0
    while got < len(said):
        readable, writable, _ = select.select(
            [talk.server], [talk.client] if sent < len(said) else [], [], LIMIT_SECONDS
        )
        sent += talk.client.send(said[sent : sent + 65536]) if writable else 0
        got += len(talk.server.recv(65536)) if readable else 0
    talk.client.setblocking(True)
    proxy.toxic("x_drop_query", query="add")
    talk.client.sendall(query("add", "/n", 1))
    assert nothing(talk.server)


def test_a_stranger_passes_untouched_and_is_told(engine: Backend, proxy: Proxy, upstream: Upstream):
    """No toxic of the store's protocol acts on it, and the log says why."""
    proxy.toxic("x_drop_query")
    with proxy.connect() as client, upstream.accept() as server:
        assert is_open(client, server)
        assert logged(engine, proxy, "transparent")[0]["why"] == "a client that does not begin as a store's does"


def test_an_unknown_query_makes_the_decoder_transparent(engine: Backend, proxy: Proxy, talk: Talk):
    """Everything passes from there on, and the log says why."""
    proxy.toxic("x_drop_query", query="set")
    talk.client.sendall(b"\x7f" + query("set", "/a", "v"))
    assert read(talk.server, 1 + len(query("set", "/a", "v"))) == b"\x7f" + query("set", "/a", "v")
    assert logged(engine, proxy, "transparent")[0]["why"] == "a query that is not known: code 127"
    assert is_open(talk.client, talk.server)


def test_half_a_reply_stays_before_the_rest_when_the_queries_are_no_longer_known(talk: Talk):
    """The kept part of an incomplete head passes before the bytes that follow it."""
    reply = text("value")
    talk.ask("get", "/a")
    talk.server.sendall(reply[:5])
    assert read(talk.client, 1) == reply[:1]
    talk.client.sendall(b"\x7f")
    assert read(talk.server, 1) == b"\x7f"
    talk.server.sendall(reply[5:])
    assert read(talk.client, len(reply) - 1) == reply[1:]


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("x_drop_query", {"query": "teleport"}),
        ("x_drop_reply", {"nth": 0}),
        ("x_drop_reply", {"per": "rank"}),
        ("x_hold", {}),
        ("x_hold", {"query": "get", "reply": "get"}),
        ("x_cut", {"query": "get", "when": "later"}),
    ],
)
def test_messages_that_cannot_be_meant_are_refused(proxy: Proxy, kind: str, attributes: Any):
    """The refusal names the toxic and lists what can be meant."""
    answer = proxy.backend.ask("POST", f"{proxy.path}/toxics", {"type": kind, "attributes": attributes})
    assert answer.status == 400
    assert kind in answer.error


# -- moments -----------------------------------------------------------------------------------------------------------


def arm(engine: Backend, **said: Any) -> Any:
    answer = engine.ask("POST", "/x/moments", said)
    assert answer.status == 201, answer.body
    return answer.json


def test_the_very_next_byte_after_a_moment_is_hit(engine: Backend, proxy: Proxy, talk: Talk):
    """Even if it came in the same read: the second add passes, what follows it is swallowed."""
    hole = {"type": "timeout", "stream": "upstream"}
    moment = arm(engine, query="add", count=2, do=[{"add_toxic": {"proxy": proxy.name, "toxic": hole}}])
    add = query("add", "/n", 1)
    talk.client.sendall(add + add + query("set", "/a", "v") + add)
    assert read(talk.server, 2 * len(add)) == add + add
    assert nothing(talk.server)
    now = engine.ask("GET", f"/x/moments/{moment['id']}").json
    assert (now["state"], now["seen"], now["failures"]) == ("happened", 2, [])
    assert logged(engine, proxy, "moment")[0]["time_ns"] >= now["happened_ns"]


def test_a_moment_counts_only_what_it_means(engine: Backend, proxy: Proxy, talk: Talk, upstream: Upstream):
    """It counts messages of its kind, keys and proxies only."""
    other = engine.make(upstream)
    arm(engine, query="set", key="run/*", proxies=[proxy.name], do=[{"disable": {"proxy": proxy.name}}])
    with other.connect() as client, upstream.accept() as server:
        Talk(client, server).greet().ask("set", "/run/a", "v")
        talk.ask("get", "/run/a")
        talk.answer(text("v"))
        talk.ask("set", "/other", "v")
        talk.client.sendall(query("set", "/run/a", "v"))
        assert ending(talk.client) == (b"", "eof")
        assert is_open(client, server)


def test_a_moment_may_act_later(engine: Backend, proxy: Proxy, talk: Talk):
    """It acts so many milliseconds after the message."""
    arm(engine, reply="add", plus_ms=300, do=[{"disable": {"proxy": proxy.name}}])
    talk.ask("add", "/n", 1)
    began = now_ms()
    talk.answer(number(1))
    assert ending(talk.client) == (b"", "eof")
    assert late(began, 300)


def test_a_moment_holds_its_connection_until_it_is_released(engine: Backend, proxy: Proxy, talks: Callable[[], Talk]):
    """Meanwhile the harness can do what the engine cannot; other connections go on."""
    held, free = talks(), talks()
    last = engine.ask("GET", "/x/events").json["last"]
    moment = arm(engine, query="add", hold=True)
    add = query("add", "/n", 1)
    held.client.sendall(add + b"".join([query("set", "/a", "v")]))
    assert read(held.server, len(add)) == add
    news = [e["event"] for e in engine.ask("GET", f"/x/events?since={last}&wait_ms=5000").json["events"]]
    assert "query" in news
    assert nothing(held.server)
    assert engine.ask("GET", f"/x/moments/{moment['id']}").json["state"] == "held"
    free.ask("set", "/b", "v")
    assert engine.ask("POST", f"/x/moments/{moment['id']}/release").status == 204
    assert read(held.server, len(query("set", "/a", "v"))) == query("set", "/a", "v")


def test_a_moment_can_be_called_off(engine: Backend, proxy: Proxy, talk: Talk):
    """A moment that was called off never comes."""
    moment = arm(engine, query="add", do=[{"disable": {"proxy": proxy.name}}])
    assert engine.ask("DELETE", f"/x/moments/{moment['id']}").status == 204
    talk.ask("add", "/n", 1)
    talk.answer(number(1))
    assert engine.ask("GET", f"/x/moments/{moment['id']}").status == 404


def test_what_a_moment_could_not_do_is_told(engine: Backend, proxy: Proxy, talk: Talk):
    """The failure is reported, and the rest of the moment is done."""
    moment = arm(engine, query="set", do=[{"disable": {"proxy": "gone"}}, {"disable": {"proxy": proxy.name}}])
    talk.client.sendall(query("set", "/a", "v"))
    assert ending(talk.client) == (b"", "eof")
    assert engine.ask("GET", f"/x/moments/{moment['id']}").json["failures"] == ["disable: proxy not found"]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"query": "teleport"},
        {"query": "add", "count": 0},
        {"query": "add", "plus_ms": -1},
        {"query": "add", "do": [{"explode": {}}]},
        {"query": "add", "do": ["disable"]},
    ],
)
def test_a_moment_that_cannot_come_is_refused(engine: Backend, said: Any):
    """The answer is 400, and lists what is possible."""
    assert engine.ask("POST", "/x/moments", said).status == 400


def test_queries_that_nobody_answers_are_not_kept(engine: Backend, proxy: Proxy, talk: Talk):
    """After 65,536 of them the decoder gives up, and everything still passes."""
    queries = query("getnumkeys") * 70_000
    sender = threading.Thread(target=talk.client.sendall, args=(queries,))
    sender.start()
    assert read(talk.server, len(queries)) == queries
    sender.join()
    (event,) = logged(engine, proxy, "transparent")
    assert event["why"] == "more than 65536 queries without a reply"
    assert is_open(talk.client, talk.server)
