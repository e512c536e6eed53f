"""Delay all bytes, in order, without limiting the rate."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.chunk import Item
from harness.engine.script import RECEIVE, Script, Send, Site, Wait
from harness.engine.toxics.base import MILLISECOND_NS, Behaviour, toxic


@toxic("latency")
@dataclass(frozen=True)
class Latency(Behaviour):
    """Each chunk waits `latency` ms after its read, plus or minus `jitter` ms; an end without bytes passes at once.

    The delay is drawn uniformly from the whole milliseconds of [latency - jitter, latency + jitter).
    """

    latency: int = 0
    jitter: int = 0

    queue_chunks = 1024

    def script(self, site: Site) -> Script:
        while True:
            item: Item = yield RECEIVE
            if item is None:
                yield Send(None)
                return
            sleep_ns = self._delay_ns(site) - (site.time_ns - item.time_ns)
            interrupted = yield Wait(sleep_ns)
            if not interrupted:
                item.time_ns += sleep_ns
            yield Send(item)

    def _delay_ns(self, site: Site) -> int:
        jitter = site.random.randrange(-self.jitter, self.jitter) if self.jitter > 0 else 0
        return (self.latency + jitter) * MILLISECOND_NS
