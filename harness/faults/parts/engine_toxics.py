"""Faults that are a toxic of the embedded engine only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.faults.base import Evidence
from harness.faults.parts.toxics import ToxicFault, toxic_name
from harness.machine.toxiproxy.wire_watch import key_pattern
from harness.proxies.base import Link, Traffic
from harness.values.attribute import Attribute


class EngineFault(ToxicFault):
    """A fault that is a toxic of the embedded engine, and which the real server does not have.

    Unless a member says otherwise, it acts at one place of a link, so it has no `stream`.
    """

    toxic = False
    engine = True

    @property
    def streams(self) -> tuple[str, ...]:
        return self.fault.streams or ("downstream",)

    @property
    def toxic_attributes(self) -> dict[str, Any]:
        given = ((name, self.fault.attributes[name]) for name in self.own_attributes())
        return {name: self._in_units(name, value) for name, value in given if value is not None}

    @classmethod
    def own_attributes(cls) -> Sequence[str]:
        return [name for name in super().own_attributes() if name != "stream"]

    def _in_units(self, name: str, value: Any) -> Any:
        return value // self.units[name][0] if name in self.units else value

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        return [problem.replace("Toxiproxy", "the engine") for problem in super().problems(attributes)]

    def evidence(self, links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]) -> Evidence:
        """From the engine's event log, which has each action of the toxic."""
        acts = {link.rank: n for link in links if (n := sum(link.acts(name) for name in self._names()))}
        return Evidence(bool(acts), {"acts": sum(acts.values()), "ranks": sorted(acts)})

    def _names(self) -> list[str]:
        return [toxic_name(self.fault, stream) for stream in self.streams]


WHICH = (
    Attribute(
        "key", "text", "the key, as a step names it; with a slash or a wildcard, the whole key on the wire",
        default=None, default_text="any",
    ),
    Attribute("nth", "int", "from which such message on, counted from 1 since the injection", 1, minimum=1),
    Attribute("times", "int", "how many such messages, from that one on; 0 is all", 1, minimum=0),
    Attribute("per", "choice", "what has its own count", "link", choices=("link", "connection")),
)  # fmt: skip
"""The attributes that select a message, besides its kind."""


class MessageFault(EngineFault):
    """A fault that hits messages of the store protocol, which the engine decodes as they pass."""

    def _in_units(self, name: str, value: Any) -> Any:
        if name == "key":
            return key_pattern(value)
        return "proxy" if (name, value) == ("per", "link") else super()._in_units(name, value)
