"""Let one direction end without the other, as TCP does but the real server does not."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.script import Script, Site, passing
from harness.engine.toxics.base import Behaviour, toxic


@toxic("x_half_close")
@dataclass(frozen=True)
class XHalfClose(Behaviour):
    """While it exists, an end of file in either direction is passed on alone, and the other direction stays open."""

    half_closes = True

    def script(self, site: Site) -> Script:
        return passing()
