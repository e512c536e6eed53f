"""The verbs of a store's settings: its timeout, and the kind of its server."""

from __future__ import annotations

import datetime
from typing import Any

from harness.rank.steps.base import Arguments, Context, step
from harness.values.attribute import Attribute, Declaration


def _lacks_torchs(context: Context) -> str:
    is_torchs = any(one.__module__.startswith("torch") for one in type(context.store).__mro__)
    return "" if is_torchs else "this subject brings a store that is not torch's"


@step(
    Declaration(
        kind="set_timeout",
        summary="Set the timeout of the store's calls, or that of another store which is made of it with a prefix.",
        attributes=(
            Attribute("timeout", "duration", "the timeout", minimum=1_000_000),
            Attribute(
                "prefix",
                "text",
                "set it through a PrefixStore with this prefix over the store",
                default=None,
                default_text="the store itself",
            ),
        ),
        example="{do: set_timeout, ranks: 1, timeout: 500ms, prefix: group}",
        details="A process group does so with its own prefix. Claims and the guard keep the handler's timeout.",
    ),
    needs="store",
    lacks=_lacks_torchs,
)
def set_timeout(context: Context, arguments: Arguments) -> None:
    store, prefix = context.store, arguments.get("prefix")
    if prefix is not None:
        from torch.distributed import PrefixStore

        store = PrefixStore(prefix, store)
    store.set_timeout(datetime.timedelta(microseconds=arguments["timeout"] / 1000))


@step(
    Declaration(
        kind="uses_libuv",
        summary="Ask the store whether its server is the one with libuv.",
        example="{do: uses_libuv, ranks: 0}",
        details="Returns true or false, as the rank asked for when it made the store: ask the master.",
    ),
    needs="store",
    lacks=_lacks_torchs,
)
def uses_libuv(context: Context, _arguments: Arguments) -> bool:
    store: Any = context.store
    while hasattr(store, "underlying_store"):
        store = store.underlying_store
    return bool(store.libuvBackend)
