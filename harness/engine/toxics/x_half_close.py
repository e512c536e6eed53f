"""Let one direction end without the other, as TCP does and the real server does not."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.script import Script, Site, passing
from harness.engine.toxics.base import Behaviour, toxic


@toxic("x_half_close")
@dataclass(frozen=True)
class XHalfClose(Behaviour):
    """While it is there, an end of file in either direction is passed on as one, and the other direction lives on."""

    half_closes = True

    def script(self, site: Site) -> Script:
        return passing()
