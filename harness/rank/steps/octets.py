"""The verbs for values that are not text: they store bytes, and compare what came back byte by byte."""

from __future__ import annotations

from typing import Sequence, Union

from harness.rank.steps.base import Arguments, Context, step
from harness.values.attribute import Attribute, Declaration

_MOST_SHOWN = 32
_KEY = Attribute("key", "key", "the key, below the store's prefix")
_HEX = Attribute("hex", "text", 'the bytes in hexadecimal, two digits each; "" for none')
_REPEAT = Attribute("repeat", "int", "how often they are repeated", default=1, minimum=1, maximum=4_000_000)


def _value(arguments: Arguments) -> bytes:
    return bytes.fromhex(arguments["hex"]) * int(arguments["repeat"])


def _problems(arguments: Arguments) -> Sequence[str]:
    try:
        length = len(bytes.fromhex(str(arguments.get("hex", ""))))
    except ValueError:
        return ("`hex` is not hexadecimal; write two digits for each byte, as in `hex: 00ff20`",)
    most = _REPEAT.maximum
    if length * int(arguments.get("repeat") or 1) > most:
        return (f"that is more than {most} bytes; a store of torch takes 8 MiB in all",)
    return ()


@step(
    Declaration(
        "set_bytes",
        "Store bytes under a key; no reply is awaited.",
        (_KEY, _HEX, _REPEAT),
        '{do: set_bytes, ranks: 0, key: raw, hex: "00ff20"}',
        "Like `set`, for values that are not text, or are long.",
    ),
    needs="store",
    problems=_problems,
)
def set_bytes(context: Context, arguments: Arguments) -> None:
    context.store.set(arguments["key"], _value(arguments))


@step(
    Declaration(
        "same_bytes",
        "Wait for a key, read it, and compare it with bytes.",
        (_KEY, _HEX, _REPEAT),
        '{do: same_bytes, ranks: 1, key: raw, hex: "00ff20"}',
        "Returns true if it holds exactly these, else how many it holds, and the first of them.",
    ),
    needs="store",
    problems=_problems,
)
def same_bytes(context: Context, arguments: Arguments) -> Union[bool, str]:
    found = bytes(context.store.get(arguments["key"]))
    if found == _value(arguments):
        return True
    return f"{len(found)} bytes, which begin with {found[:_MOST_SHOWN].hex() or 'none'}"
