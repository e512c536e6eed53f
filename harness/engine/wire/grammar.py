"""The fields of queries and replies, as torch 2.6 to 2.15 send them, found out from the wire.

There is no framing. A query is one byte, its code, then fields; integers are 64 bits little-endian, keys and values a
length and bytes. Torch puts `/` before every key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

MAGIC = 0x3C85F7CE
"""The first field of the first query (`validationMagicNumber` in TCPStoreBackend.hpp)."""

MOST_KEYS = 128 * 1024
LONGEST_KEY = 8 * 1024
LONGEST_VALUE = 8 * 1024 * 1024
"""The server's own limits (TCPStoreLibUvBackend.cpp): traffic beyond them is not a store's."""

# One letter a field: m the magic number, u 32 bits, i 64 bits, k a key, K a count and keys, P a count and pairs of key
# and value, v a value. In replies: b one byte, V a value for each key of the query, q a count and, if it is not 0, a
# value, L a count and keys.


@dataclass(frozen=True)
class Grammar:
    """A query's fields and its reply's.

    Attributes:
        waits: whether its reply may take long, and does not come if the query is cancelled.
    """

    query: str
    reply: str = ""
    waits: bool = False


GRAMMARS: Mapping[str, Grammar] = {
    "validate": Grammar("m"),
    "set": Grammar("kv"),
    "compare_set": Grammar("kvv", "v"),
    "get": Grammar("k", "v"),
    "add": Grammar("ki", "i"),
    "check": Grammar("K", "b"),
    "wait": Grammar("K", "b", waits=True),
    "getnumkeys": Grammar("", "i"),
    "delete_key": Grammar("k", "i"),
    "append": Grammar("kv"),
    "multi_get": Grammar("K", "V"),
    "multi_set": Grammar("P"),
    "cancel_wait": Grammar("", "b"),
    "ping": Grammar("u", "u"),
    "queue_push": Grammar("kv"),
    "queue_pop": Grammar("k", "q"),
    "queue_len": Grammar("k", "i"),
    "list_keys": Grammar("", "L"),
    "barrier": Grammar("ki", "b", waits=True),
}

ANY = "*"
KINDS = (*GRAMMARS, ANY)
"""The kinds by which a message can be selected; a reply has the kind of its query."""

CODES: Mapping[int, str] = dict(enumerate(GRAMMARS))
"""Of torch 2.13 and 2.15; earlier ones have the first 14 (2.6) or 17 (2.9) of them."""

CANCELLED = 1
"""The answer to a cancel; the query that it cancelled gets no answer."""

_ENUM = re.compile(r"enum\s+class\s+QueryType[^{]*\{([^}]*)\}")


def codes_in(header: str) -> Mapping[int, str]:
    """The codes that a torch has, from the text of its TCPStoreBackend.hpp; raises ValueError if it has none.

    A name without a grammar is kept: when it occurs on the wire, the decoder becomes transparent and names it.
    """
    found = _ENUM.search(header)
    if found is None:
        raise ValueError("no enum class QueryType in this header; give torch's TCPStoreBackend.hpp")
    codes: dict[int, str] = {}
    following = 0
    for entry in re.sub(r"//[^\n]*", "", found[1]).split(","):
        name, _, value = (part.strip() for part in entry.partition("="))
        if name:
            following = int(value, 0) if value else following
            codes[following] = name.lower()
            following += 1
    return codes
