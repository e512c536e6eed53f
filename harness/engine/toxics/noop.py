"""Do nothing."""

from __future__ import annotations

from dataclasses import dataclass

from harness.engine.script import Script, Site, passing
from harness.engine.toxics.base import Behaviour, toxic


@toxic("noop")
@dataclass(frozen=True)
class Noop(Behaviour):
    """Passes everything on."""

    def script(self, site: Site) -> Script:
        return passing()
