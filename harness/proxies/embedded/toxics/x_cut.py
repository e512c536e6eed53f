"""Cut a connection after an exact number of bytes of one direction, or at one message of the store's protocol."""

from __future__ import annotations

from dataclasses import dataclass

from harness.proxies.embedded.chunk import Chunk, Item
from harness.proxies.embedded.script import RECEIVE, Script, Send, Site, Wait
from harness.proxies.embedded.toxics.base import Behaviour, toxic

HOWS = ("fin", "rst", "silence")


@toxic("x_cut")
@dataclass(frozen=True)
class XCut(Behaviour):
    """After `bytes` more bytes of its direction, on each connection, the next one never passes.

    `how`: fin and rst end the connection on both sides, also one that was open before; silence swallows everything
    that comes in this direction from then on, its end too, as a cable that was cut.
    """

    bytes: int = 0
    how: str = "fin"

    def script(self, site: Site) -> Script:
        while (passed := site.memory.get("passed", 0)) < self.bytes:
            item: Item = yield RECEIVE
            if item is None:
                yield Send(None)
                return
            data, rest = item.data[: self.bytes - passed], item.data[self.bytes - passed :]
            site.memory["passed"] = passed + len(data)
            yield Send(Chunk(data, item.time_ns))
            if rest:
                break
        yield from cutting(self.how, site)

    def problem(self) -> str:
        if self.how not in HOWS:
            return f"how {self.how!r} is none of {', '.join(HOWS)}"
        return f"bytes {self.bytes} is negative" if self.bytes < 0 else ""


def cutting(how: str, site: Site) -> Script:
    """End the connection, or say nothing more."""
    site.note("fired", how=how)
    if how == "silence":
        item: Item = yield RECEIVE
        while item is not None:
            item = yield RECEIVE
        yield Wait(None)
        return
    if how == "rst":
        site.reset_on_close()
    yield Send(None)
