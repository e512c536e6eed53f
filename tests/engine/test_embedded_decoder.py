"""The store's protocol, read from the wire: every message is found, and no byte is lost, whatever comes."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_traffic import CODES, GREETING, number, query, text

from harness.engine.wire.decoder import Decoder, Message, Piece, queries, replies
from harness.engine.wire.grammar import CODES as KNOWN
from harness.engine.wire.grammar import GRAMMARS, codes_in

HELLO = GREETING[:5]
QUERIES = [
    (query("ping")[:1] + b"\x01\x00\x00\x00", Message("query", "ping", (), 1)),
    (query("set", "/k", "value"), Message("query", "set", ("/k",))),
    (query("compare_set", "/k", "", "new"), Message("query", "compare_set", ("/k",))),
    (query("get", "/k"), Message("query", "get", ("/k",))),
    (query("add", "/n", -3), Message("query", "add", ("/n",), -3)),
    (query("check", ["/a", "/b"]), Message("query", "check", ("/a", "/b"))),
    (query("wait", ["/a"]), Message("query", "wait", ("/a",))),
    (query("getnumkeys"), Message("query", "getnumkeys")),
    (query("delete_key", "/k"), Message("query", "delete_key", ("/k",))),
    (query("append", "/k", "more"), Message("query", "append", ("/k",))),
    (query("multi_get", ["/a", "/b"]), Message("query", "multi_get", ("/a", "/b"))),
    (
        bytes([11]) + number(2) + text("/a") + text("1") + text("/b") + text(""),
        Message("query", "multi_set", ("/a", "/b")),
    ),
    (query("cancel_wait"), Message("query", "cancel_wait")),
    (query("queue_push", "/q", "item"), Message("query", "queue_push", ("/q",))),
    (query("queue_pop", "/q"), Message("query", "queue_pop", ("/q",))),
    (query("queue_len", "/q"), Message("query", "queue_len", ("/q",))),
    (query("list_keys"), Message("query", "list_keys")),
    (query("barrier", "/b", 2), Message("query", "barrier", ("/b",), 2)),
]
REPLIES = [
    ("ping", (), b"\xfd\x3b\x00\x00"),
    ("compare_set", ("/k",), text("new")),
    ("get", ("/k",), text("value")),
    ("get", ("/k",), text("")),
    ("add", ("/n",), number(7)),
    ("check", ("/a",), b"\x01"),
    ("wait", ("/a",), b"\x00"),
    ("getnumkeys", (), number(2)),
    ("delete_key", ("/k",), number(1)),
    ("multi_get", ("/a", "/b"), text("1") + text("22")),
    ("cancel_wait", (), b"\x01"),
    ("queue_pop", ("/q",), number(1) + text("item")),
    ("queue_pop", ("/q",), number(0)),
    ("queue_len", ("/q",), number(0)),
    ("list_keys", (), number(2) + text("/k") + text("/n")),
    ("barrier", ("/b",), b"\x00"),
]


def fed(decoder: Decoder, data: bytes, size: int) -> list[Piece]:
    """The pieces that come out when the data is fed in parts of that size."""
    return [piece for at in range(0, len(data), size) for piece in decoder.feed(data[at : at + size])]


def begun(pieces: list[Piece]) -> list[Message | None]:
    return [piece.message for piece in pieces if piece.first]


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_every_query_is_told(size: int):
    """Every query is found with its keys, however its bytes are split; each begins and ends once."""
    decoder = Decoder(queries(KNOWN))
    stream = HELLO + b"".join(data for data, _ in QUERIES)
    pieces = fed(decoder, stream, size)
    assert b"".join(piece.data for piece in pieces) == stream
    assert begun(pieces) == [Message("query", "validate"), *(message for _, message in QUERIES)]
    assert sum(piece.last for piece in pieces) == len(QUERIES) + 1
    assert not decoder.transparent


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_every_reply_is_told(size: int):
    """Every reply is found, and named after the query that it answers."""
    asked = [Message("query", kind, keys) for kind, keys, _ in REPLIES]
    decoder = Decoder(replies(deque(asked)))
    stream = b"".join(data for _, _, data in REPLIES)
    pieces = fed(decoder, stream, size)
    assert b"".join(piece.data for piece in pieces) == stream
    assert begun(pieces) == [Message("reply", message.kind, message.keys) for message in asked]
    assert sum(piece.last for piece in pieces) == len(REPLIES)


def test_a_query_without_a_reply_has_none_and_the_others_do():
    """The samples above cover every grammar, in both directions."""
    assert {message.kind for _, message in QUERIES} == set(GRAMMARS) - {"validate"}
    assert {kind for kind, _, _ in REPLIES} == {kind for kind, grammar in GRAMMARS.items() if grammar.reply}


@pytest.mark.parametrize(
    ("data", "kinds"),
    [(b"\x01", ["cancel_wait"]), (b"\x00\x01", ["wait", "cancel_wait"])],
    ids=["cancelled", "too late"],
)
def test_a_cancelled_wait_is_not_answered(data: bytes, kinds: list[str]):
    """A cancelled wait expects no reply, unless its reply was under way already."""
    decoder = Decoder(replies(deque([Message("query", "wait", ("/k",)), Message("query", "cancel_wait")])))
    assert [message.kind for message in begun(decoder.feed(data)) if message] == kinds


def test_a_head_is_kept_until_it_is_complete_and_a_value_is_not():
    """A toxic can decide about a message before any byte of it has passed."""
    decoder = Decoder(queries(KNOWN))
    decoder.feed(HELLO)
    said = query("set", "/key", "x" * 100)
    assert decoder.feed(said[:12]) == []
    assert decoder.feed(said[12:13]) == [Piece(said[:13], Message("query", "set", ("/key",)), first=True)]
    assert [piece.data for piece in decoder.feed(said[13:50])] == [said[13:50]]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "does not begin as a store's does"),
        (b"\x00\x01\x02\x03\x04", "does not begin as a store's does"),
        (HELLO + b"\x63rest", "a query that is not known: code 99"),
        (HELLO + b"\x01" + b"\xff" * 8, "a length of 18446744073709551615"),
    ],
)
def test_what_is_no_store_passes_untouched(data: bytes, why: str):
    """Bytes that are not a store's pass unchanged, and the decoder says why it stopped decoding."""
    for size in (1, 4, 1000):
        decoder = Decoder(queries(KNOWN))
        assert b"".join(piece.data for piece in fed(decoder, data + b"more", size)) == data + b"more"
        assert why in decoder.transparent


def test_a_stranger_waits_for_no_byte():
    """Each byte that could begin a store's greeting passes as it comes."""
    decoder = Decoder(queries(KNOWN))
    assert [b"".join(piece.data for piece in decoder.feed(bytes([byte]))) for byte in b"\x00\xce\xf7?"] == [
        b"\x00",
        b"\xce",
        b"\xf7",
        b"?",
    ]


def test_a_reply_that_nobody_asked_for_is_told():
    """A reply without a query is reported, and the decoder stops decoding."""
    decoder = Decoder(replies(deque()))
    assert [piece.data for piece in decoder.feed(b"hello")] == [b"hello"]
    assert decoder.transparent == "a reply that no query asked for"


@given(parts=st.lists(st.binary(max_size=40) | st.sampled_from([data for data, _ in QUERIES]), max_size=8))
def test_no_byte_is_lost_or_changed(parts: list[bytes]):
    """Any bytes, in any parts, after a store's greeting or without one, pass unchanged."""
    for greeting in (b"", HELLO):
        decoder = Decoder(queries(KNOWN))
        out = b"".join(piece.data for part in [greeting, *parts] if part for piece in decoder.feed(part))
        assert out + decoder.rest() == greeting + b"".join(parts)


def test_codes_are_read_from_a_header():
    """Gaps and comments are allowed; a code without a grammar keeps its name, so that it can be reported by name."""
    header = "enum class QueryType : uint8_t {\n  VALIDATE, // first\n  SET,\n  GET = 0x5,\n  TELEPORT,\n};"
    assert codes_in(header) == {0: "validate", 1: "set", 5: "get", 6: "teleport"}
    decoder = Decoder(queries(codes_in(header)))
    decoder.feed(HELLO)
    decoder.feed(b"\x06")
    assert decoder.transparent == "a query that is not known: teleport"
    with pytest.raises(ValueError, match=r"give torch's TCPStoreBackend\.hpp"):
        codes_in("nothing")


def test_the_codes_we_know_are_torchs():
    """Our codes are those of torch's header, in its order."""
    assert dict(KNOWN) == {code: name for name, code in CODES.items()}
