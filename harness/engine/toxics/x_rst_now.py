"""Reset the connections that are open now, without a byte and without having been armed."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.script import Script, Site, passing
from harness.engine.toxics.base import Behaviour, toxic


@toxic("x_rst_now")
@dataclass(frozen=True)
class XRstNow(Behaviour):
    """Both peers of every open connection get RST when it is added; connections that come later are spared."""

    def script(self, site: Site) -> Script:
        if not site.opened_with:
            site.note("fired")
            site.abort(reset=True)
        yield from passing()
