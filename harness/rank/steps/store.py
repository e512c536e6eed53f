"""The verbs of a store: torch's own methods, under torch's names, with values as text."""

from __future__ import annotations

import datetime
from typing import Any, Dict, List, Optional, Sequence, Tuple

from harness.rank.steps.base import Arguments, Context, step
from harness.values.attribute import Attribute, Declaration

KEY = Attribute("key", "key", "the key, below the store's prefix")
VALUE = Attribute("value", "value", "the text to store")
_ONE_KEY = Attribute("key", "key", "one key; or give `keys`", default=None)
_MANY_KEYS = Attribute("keys", "keys", "several keys; or give `key`", default=None)


def text(value: bytes) -> str:
    """A stored value as text: UTF-8, other bytes as backslash escapes."""
    return value.decode("utf-8", "backslashreplace")


def keys_of(arguments: Arguments) -> List[str]:
    """The keys of a verb that takes `key` or `keys`."""
    if arguments.get("key") is not None:
        return [arguments["key"]]
    return list(arguments.get("keys") or ())


def _key_or_keys(arguments: Arguments) -> Sequence[str]:
    given = [name for name in ("key", "keys") if arguments.get(name) is not None]
    if len(given) == 1:
        return ()
    return ("give either `key` or `keys`, not both",) if given else ("give `key: NAME` or `keys: [NAME, NAME]`",)


@step(
    Declaration(
        "set",
        "Store a value under a key; no reply is awaited.",
        (KEY, VALUE),
        '{do: set, ranks: 0, key: ready, value: "1"}',
        "It returns once the bytes are handed to the kernel: `ok` does not say that the server has it.",
    ),
    needs="store",
)
def set_(context: Context, arguments: Arguments) -> None:
    context.store.set(arguments["key"], arguments["value"])


@step(
    Declaration(
        "get",
        "Wait for a key and read it.",
        (KEY,),
        "{do: get, ranks: 1, key: ready}",
        "Returns the text. Waits as long as the store's own timeout, which is the handler's.",
    ),
    needs="store",
)
def get(context: Context, arguments: Arguments) -> str:
    return text(context.store.get(arguments["key"]))


@step(
    Declaration(
        "add",
        "Add to a counter and read it.",
        (KEY, Attribute("amount", "int", "what to add", default=1, minimum=-(2**63), maximum=2**63 - 1)),
        "{do: add, key: arrived}",
        "Returns the new number; a counter begins at 0.",
    ),
    needs="store",
)
def add(context: Context, arguments: Arguments) -> int:
    return int(context.store.add(arguments["key"], arguments["amount"]))


@step(
    Declaration(
        "compare_set",
        "Store `desired` if the key holds `expected`, and read what it holds now.",
        (
            KEY,
            Attribute("expected", "value", 'the text it must hold; "" for a key that does not exist'),
            Attribute("desired", "value", "the text to store"),
        ),
        '{do: compare_set, key: leader, expected: "", desired: "1"}',
        "Returns the text that the key holds after the call.",
    ),
    needs="store",
)
def compare_set(context: Context, arguments: Arguments) -> str:
    return text(context.store.compare_set(arguments["key"], arguments["expected"], arguments["desired"]))


@step(
    Declaration(
        "wait",
        "Wait until keys exist.",
        (
            _ONE_KEY,
            _MANY_KEYS,
            Attribute("timeout", "duration", "how long", default=None, default_text="the store's own timeout"),
        ),
        "{do: wait, keys: [a, b], timeout: 2s}",
    ),
    needs="store",
    problems=_key_or_keys,
)
def wait(context: Context, arguments: Arguments) -> None:
    timeout_ns = arguments.get("timeout")
    if timeout_ns is None:
        context.store.wait(keys_of(arguments))
    else:
        context.store.wait(keys_of(arguments), datetime.timedelta(microseconds=timeout_ns / 1000))


@step(
    Declaration(
        "check",
        "Ask whether keys exist, without waiting for them.",
        (_ONE_KEY, _MANY_KEYS),
        "{do: check, ranks: 1, key: ready}",
        "Returns true if all of them do.",
    ),
    needs="store",
    problems=_key_or_keys,
)
def check(context: Context, arguments: Arguments) -> bool:
    return bool(context.store.check(keys_of(arguments)))


@step(
    Declaration(
        "delete_key",
        "Delete a key.",
        (KEY,),
        "{do: delete_key, ranks: 0, key: ready}",
        "Returns true if the key existed.",
    ),
    needs="store",
)
def delete_key(context: Context, arguments: Arguments) -> bool:
    return bool(context.store.delete_key(arguments["key"]))


@step(
    Declaration(
        "num_keys",
        "Count the keys.",
        (),
        "{do: num_keys, ranks: 0}",
        "Returns a number. Torch counts all keys of the server, whatever the prefix, and its own bookkeeping keys too.",
    ),
    needs="store",
)
def num_keys(context: Context, _arguments: Arguments) -> int:
    return int(context.store.num_keys())


@step(
    Declaration(
        "append",
        "Append text to the value of a key; no reply is awaited.",
        (KEY, VALUE),
        '{do: append, key: log, value: "x"}',
    ),
    needs="store",
)
def append(context: Context, arguments: Arguments) -> None:
    context.store.append(arguments["key"], arguments["value"])


@step(
    Declaration(
        "multi_get",
        "Wait for several keys and read them.",
        (_ONE_KEY, _MANY_KEYS),
        "{do: multi_get, keys: [a, b]}",
        "Returns a list of texts, in the order of the keys.",
    ),
    needs="store",
    problems=_key_or_keys,
)
def multi_get(context: Context, arguments: Arguments) -> List[str]:
    return [text(value) for value in context.store.multi_get(keys_of(arguments))]


@step(
    Declaration(
        "multi_set",
        "Store several values; no reply is awaited.",
        (Attribute("values", "mapping", "key to text"),),
        '{do: multi_set, values: {a: "1", b: "2"}}',
    ),
    needs="store",
)
def multi_set(context: Context, arguments: Arguments) -> None:
    values = arguments["values"]
    context.store.multi_set(list(values), list(values.values()))


def _lacks_queues(context: Context) -> str:
    return "" if hasattr(context.store, "queue_push") else "the store of this rank has no queues; a later torch has"


@step(
    Declaration(
        "queue_push",
        "Push text to the end of a queue; no reply is awaited.",
        (KEY, VALUE),
        '{do: queue_push, key: jobs, value: "1"}',
        "Skipped where the rank's torch has no queues.",
    ),
    needs="store",
    lacks=_lacks_queues,
)
def queue_push(context: Context, arguments: Arguments) -> None:
    context.store.queue_push(arguments["key"], arguments["value"])


@step(
    Declaration(
        "queue_pop",
        "Wait until a queue holds something and take its first text.",
        (KEY,),
        "{do: queue_pop, key: jobs}",
        "Returns the text. Skipped where the rank's torch has no queues.",
    ),
    needs="store",
    lacks=_lacks_queues,
)
def queue_pop(context: Context, arguments: Arguments) -> str:
    return text(context.store.queue_pop(arguments["key"]))


def _lacks_clones(context: Context) -> str:
    return "" if hasattr(context.store, "clone") else "the store of this rank cannot be cloned; a later torch can"


@step(
    Declaration(
        "clone",
        "Clone the store; the rank's later steps with this handler use the clone.",
        (),
        "{do: clone, ranks: 1, thread: second}",
        "A clone has a connection of its own. A call that waits already goes on. Skipped where torch has no clones.",
    ),
    needs="store",
    lacks=_lacks_clones,
)
def clone(context: Context, _arguments: Arguments) -> None:
    context.use_store(context.store.clone())


# The default weights of `mix`: reads are the most frequent, as they are in real jobs. `get` is not among them: for a
# key that does not exist it would only wait for the timeout.
MIX_WEIGHTS: Dict[str, float] = {"set": 3, "check": 3, "add": 2, "append": 1, "compare_set": 1, "delete_key": 1}
MIX_VERBS: Tuple[str, ...] = (*MIX_WEIGHTS, "get", "num_keys", "multi_set", "multi_get")


def _mix_problems(arguments: Arguments) -> Sequence[str]:
    weights = arguments.get("weights") or {}
    problems = [
        f"`mix` cannot draw {verb!r}; write one of {', '.join(MIX_VERBS)}" for verb in weights if verb not in MIX_VERBS
    ]
    if any(weight < 0 for weight in weights.values()):
        problems.append("a weight is below 0; write 0 to leave a verb out")
    if weights and not any(weight > 0 for weight in weights.values()):
        problems.append("all weights are 0; give at least one verb a weight above 0")
    if not arguments.get("keys"):
        problems.append("`mix` needs at least one key; write `keys: [a, b]`")
    return problems


def draw(random: Any, arguments: Arguments) -> Tuple[str, Dict[str, Any]]:
    """The next call of a `mix`: verb and arguments. A counter and a text never share a key.

    Texts are drawn from 10^12, so that none is written twice in a play: what a call saw tells who wrote it.
    """
    weights: Optional[Dict[str, float]] = arguments.get("weights")
    weights = dict(weights or MIX_WEIGHTS)
    verb = random.choices(list(weights), list(weights.values()))[0]
    key = random.choice(list(arguments["keys"]))
    number = str(random.randrange(10**12))
    drawn: Dict[str, Dict[str, Any]] = {
        "add": {"key": f"{key}.count", "amount": 1},
        "append": {"key": f"{key}.log", "value": number},
        "set": {"key": key, "value": number},
        "compare_set": {"key": key, "expected": "", "desired": number},
        "multi_set": {"values": dict.fromkeys(arguments["keys"], number)},
        "multi_get": {"keys": list(arguments["keys"])},
        "num_keys": {},
    }
    return verb, drawn.get(verb, {"key": key})


@step(
    Declaration(
        "mix",
        "Many store calls, drawn from the run's seed.",
        (
            Attribute("calls", "int", "how many calls", minimum=1, maximum=100_000),
            Attribute("keys", "keys", "the keys to draw from", default=("a", "b", "c"), default_text="[a, b, c]"),
            Attribute(
                "weights",
                "weights",
                "verb to how often it is drawn",
                default=None,
                default_text="{" + ", ".join(f"{verb}: {weight:g}" for verb, weight in MIX_WEIGHTS.items()) + "}",
            ),
        ),
        "{do: mix, calls: 100, keys: [a, b], weights: {set: 1, check: 2}}",
        "The history has each call under its own verb. `add` counts in KEY.count and `append` writes to KEY.log;"
        " `multi_set` and `multi_get` take all keys. No text is written twice.",
    ),
    needs="store",
    problems=_mix_problems,
    draw=draw,
)
def mix(_context: Context, _arguments: Arguments) -> None:
    raise NotImplementedError("a mix is drawn call by call; run the verb that `draw` names")
