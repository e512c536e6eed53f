"""Faults in the store that a join hands out."""

from __future__ import annotations

import time
from typing import Any

from rdzv_mutants.catalogue import BOTH, STORE, Base, around, mutant


@mutant(
    STORE,
    "check of several keys says yes when one of them exists",
    ("a-check-of-several-keys-asks-for-all-of-them",),
    of=BOTH,
)
def check_says_yes_for_any(base: Base) -> None:
    @around(base.store, "check")
    def check(original: Any, self: Any, keys: Any) -> bool:
        return any(original(self, [key]) for key in keys)


@mutant(
    STORE,
    "append replaces the value instead of adding to it",
    ("an-append-keeps-what-was-there", *("two-runs-append-and-compare-separately",)),
    of=BOTH,
)
def append_overwrites(base: Base) -> None:
    @around(base.store, "append")
    def append(original: Any, self: Any, key: str, value: Any) -> None:
        self.set(key, value)


@mutant(STORE, "get removes white space from both ends of the value", ("a-value-comes-back-byte-by-byte",), of=BOTH)
def get_strips_white_space(base: Base) -> None:
    @around(base.store, "get")
    def get(original: Any, self: Any, key: str) -> bytes:
        return bytes(original(self, key)).strip()


@mutant(
    STORE,
    "get returns the value that it returned first for this key, even when it has changed",
    ("a-get-returns-the-newest-value",),
    of=BOTH,
)
def get_returns_an_older_value(base: Base) -> None:
    seen: dict[Any, bytes] = {}

    @around(base.store, "get")
    def get(original: Any, self: Any, key: str) -> bytes:
        now = original(self, key)
        return seen.setdefault((id(self), key), now)


@mutant(
    STORE,
    "get of a missing key returns an empty value at once",
    ("a-get-of-a-missing-key-raises-at-its-timeout", *("a-blocked-get-does-not-block-set",)),
)
def get_does_not_wait(base: Base) -> None:
    @around(base.store, "get")
    def get(original: Any, self: Any, key: str) -> bytes:
        return bytes(original(self, key)) if self.check([key]) else b""


@mutant(
    STORE,
    "set of a key that exists is lost",
    ("a-get-returns-the-newest-value", *("writes-keep-their-order",)),
    of=BOTH,
)
def set_does_not_replace(base: Base) -> None:
    @around(base.store, "set")
    def set_(original: Any, self: Any, key: str, value: Any) -> None:
        if not self.check([key]):
            original(self, key, value)


@mutant(STORE, "values longer than 255 bytes are cut", ("a-value-comes-back-byte-by-byte",))
def values_are_cut(base: Base) -> None:
    @around(base.store, "set")
    def set_(original: Any, self: Any, key: str, value: Any) -> None:
        original(self, key, value[:255])


@mutant(
    STORE,
    "two clients that add at the same time may both get the same sum",
    ("two-runs-calls-fit-an-order-each", *("acknowledged-writes-fit-one-order", *("two-runs-have-separate-counters",))),
    of=BOTH,
)
def add_is_not_atomic(base: Base) -> None:
    @around(base.store, "add")
    def add(original: Any, self: Any, key: str, amount: int) -> int:
        now = int(self.get(key)) if self.check([key]) else 0
        time.sleep(0.001)
        self.set(key, str(now + amount))
        return now + amount


@mutant(STORE, "counters wrap around at 32 bits", ("a-counter-does-not-wrap-around",))
def add_wraps_at_32_bits(base: Base) -> None:
    @around(base.store, "add")
    def add(original: Any, self: Any, key: str, amount: int) -> int:
        return (int(original(self, key, amount)) + (1 << 31)) % (1 << 32) - (1 << 31)


@mutant(
    STORE,
    "compare_set writes whatever value was expected",
    (
        "two-runs-calls-fit-an-order-each",
        *("acknowledged-writes-fit-one-order", *("two-runs-append-and-compare-separately",)),
    ),
    of=BOTH,
)
def compare_set_ignores_what_is_expected(base: Base) -> None:
    @around(base.store, "compare_set")
    def compare_set(original: Any, self: Any, key: str, expected: str, desired: str) -> bytes:
        self.set(key, desired)
        return desired.encode()


@mutant(
    STORE, "delete_key says that it deleted a key and leaves it", ("deleting-a-key-leaves-the-other-runs-key",), of=BOTH
)
def delete_key_does_nothing(base: Base) -> None:
    @around(base.store, "delete_key")
    def delete_key(original: Any, self: Any, key: str) -> bool:
        return True


@mutant(
    STORE, "delete_key says that nothing was deleted although it was", ("deleting-a-key-leaves-the-other-runs-key",)
)
def delete_key_says_no(base: Base) -> None:
    @around(base.store, "delete_key")
    def delete_key(original: Any, self: Any, key: str) -> bool:
        original(self, key)
        return False


@mutant(
    STORE,
    "num_keys counts one key too many",
    ("num-keys-counts-only-its-own-run",),
    of=BOTH,
    survives="torch counts its own keys and those of other runs too (F50), so nobody can rely on the number",
)
def num_keys_is_off_by_one(base: Base) -> None:
    @around(base.store, "num_keys")
    def num_keys(original: Any, self: Any) -> int:
        return int(original(self)) + 1


@mutant(
    STORE,
    "multi_get returns the values in the reverse order",
    ("two-runs-append-and-compare-separately", *("several-values-are-stored-as-one",)),
    of=BOTH,
)
def multi_get_reverses(base: Base) -> None:
    @around(base.store, "multi_get")
    def multi_get(original: Any, self: Any, keys: Any) -> Any:
        return list(reversed(original(self, keys)))


@mutant(
    STORE,
    "multi_set sets all keys but the last",
    (
        "two-runs-append-and-compare-separately",
        *("several-values-are-stored-as-one", *("num-keys-counts-only-its-own-run",)),
    ),
    of=BOTH,
)
def multi_set_is_partial(base: Base) -> None:
    @around(base.store, "multi_set")
    def multi_set(original: Any, self: Any, keys: Any, values: Any) -> None:
        for key, value in list(zip(keys, values))[: max(1, len(keys) - 1)]:
            self.set(key, value)


@mutant(
    STORE,
    "multi_set sets one key after the other, and others see it half done",
    ("a-multi-set-is-seen-whole-or-not-at-all",),
    survives="torch's own server stores the values one after another (F47), and static-strict uses it",
)
def multi_set_is_not_atomic(base: Base) -> None:
    @around(base.store, "multi_set")
    def multi_set(original: Any, self: Any, keys: Any, values: Any) -> None:
        for key, value in zip(keys, values):
            self.set(key, value)
            time.sleep(0.02)


@mutant(
    STORE,
    "queue_pop returns the newest entry of the queue, not the oldest",
    ("a-queue-returns-its-oldest-text-first",),
)
def queue_is_a_stack(base: Base) -> None:
    @around(base.store, "queue_pop")
    def queue_pop(original: Any, self: Any, key: str, *arguments: Any, **named: Any) -> bytes:
        entries = [original(self, key, *arguments, **named)]
        entries += [original(self, key, *arguments, **named) for _ in range(self.queue_len(key))]
        for entry in entries[:-1]:
            self.queue_push(key, bytes(entry).decode())
        return bytes(entries[-1])


@mutant(STORE, "wait on several keys returns with the first", ("a-wait-on-several-keys-ends-with-the-last",), of=BOTH)
def wait_ends_with_the_first_key(base: Base) -> None:
    @around(base.store, "wait")
    def wait(original: Any, self: Any, keys: Any, *timeout: Any) -> None:
        original(self, list(keys)[:1], *timeout)


@mutant(STORE, "wait returns at its timeout as if the keys were there", ("a-wait-ends-at-its-own-timeout",))
def wait_returns_at_its_timeout(base: Base) -> None:
    @around(base.store, "wait")
    def wait(original: Any, self: Any, keys: Any, *timeout: Any) -> None:
        try:
            original(self, keys, *timeout)
        except RuntimeError:
            return


@mutant(
    STORE,
    "a write returns before the server has it",
    (
        "a-write-outlives-its-writer",
        "a-write-that-returned-is-visible",
        "a-set-that-never-arrives-is-not-lost-silently",
    ),
)
def writes_are_not_acknowledged(base: Base) -> None:
    from torch.distributed import PrefixStore

    for name in ("set", "append", "multi_set", "queue_push"):
        if name in vars(base.store):
            delattr(base.store, name)
    assert base.store.set is PrefixStore.set


@mutant(
    STORE,
    "a write whose connection is lost returns as if it were done",
    ("a-write-that-met-a-reset-raises", "a-client-that-was-cut-off-raises-on-every-call"),
)
def lost_writes_raise_nothing(base: Base) -> None:
    @around(base.store, "set")
    def set_(original: Any, self: Any, key: str, value: Any) -> None:
        try:
            original(self, key, value)
        except RuntimeError:
            return


@mutant(
    STORE,
    "an add whose connection was lost is sent again, and may count twice",
    ("an-add-whose-reply-was-lost-is-done-at-most-once", "an-add-over-a-one-way-cut-is-done-once"),
)
def add_is_sent_again(base: Base) -> None:
    @around(base.store, "add")
    def add(original: Any, self: Any, key: str, amount: int) -> int:
        from torch.distributed import DistNetworkError, PrefixStore, TCPStore

        try:
            return int(original(self, key, amount))
        except DistNetworkError:
            connected = self._bounded_store.connected
            anew = TCPStore(connected.address[1], connected.port, timeout=self.timeout, wait_for_workers=False)
            return int(PrefixStore(self._prefix, anew).add(key, amount))
