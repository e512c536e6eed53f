"""Reset the connections that are open now, without waiting for bytes."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.script import Script, Site, passing
from harness.engine.toxics.base import Behaviour, toxic


@toxic("x_rst_now")
@dataclass(frozen=True)
class XRstNow(Behaviour):
    """Both peers of every open connection get RST when it is added; later connections are not affected."""

    def script(self, site: Site) -> Script:
        if not site.opened_with:
            site.note("fired")
            site.abort(reset=True)
        yield from passing()
