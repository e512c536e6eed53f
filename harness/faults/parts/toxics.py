"""Faults that are a toxic of Toxiproxy on every link of their ranks."""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from harness.faults.base import Evidence, FaultContext, FaultMember
from harness.faults.parts.evidence import link_evidence, links_of, may_be_more, settled, traffic_of
from harness.proxies.base import Link, Traffic
from harness.scenario.scenario import Fault
from harness.values.toxic_effect import ToxicEffect


class ToxicFault(FaultMember):
    """A fault that is a toxic of Toxiproxy, on every link of its ranks and in each of its streams.

    Attributes:
        toxic_kind: Toxiproxy's name of the toxic.
        units: by attribute, Toxiproxy's unit in nanoseconds or bytes per second, and its name; an attribute without an
            entry is passed on as it is.
    """

    layer = "link"
    toxic = True
    toxic_kind: ClassVar[str]
    units: ClassVar[Mapping[str, tuple[int, str]]] = {}

    @classmethod
    def problems(cls, attributes: Mapping[str, Any]) -> Sequence[str]:
        return [
            f"{name} is {attributes[name] / unit:g} {word}, but Toxiproxy takes whole {word}; write 1{word} or 2{word}"
            for name, (unit, word) in cls.units.items()
            if attributes[name] % unit
        ]

    @property
    def streams(self) -> tuple[str, ...]:
        return self.fault.streams

    @property
    def toxic_attributes(self) -> dict[str, int]:
        """The attributes for Toxiproxy, in its units."""
        given = self.fault.attributes
        return {name: given[name] // self.units.get(name, (1, ""))[0] for name in self.own_attributes()}

    @classmethod
    def own_attributes(cls) -> Sequence[str]:
        """The attributes that Toxiproxy takes."""
        return [attribute.name for attribute in cls.declaration.attributes]

    @contextlib.contextmanager
    def hold(self, context: FaultContext) -> Iterator[Callable[[], Evidence]]:
        links = links_of(self.fault, context)
        before = traffic_of(links)
        with contextlib.ExitStack() as toxics:
            for link in links:
                for stream in self.streams:
                    # Register the healing first: a toxic must be removed even if adding it fails half-way.
                    toxics.callback(link.remove_toxic, toxic_name(self.fault, stream))
                    self.place(link, stream)
            tried = [
                toxics.enter_context(
                    links[0].probe(toxic_name(self.fault, stream), self.toxic_kind, stream, self.toxic_attributes)
                )
                for stream in self.streams
            ]
            yield lambda: self.settled_evidence(links, before, tried)

    def place(self, link: Link, stream: str) -> None:
        """Put the toxic on one link, in one direction."""
        name, toxicity = toxic_name(self.fault, stream), self.fault.toxicity
        link.add_toxic(name, self.toxic_kind, stream, toxicity, self.toxic_attributes)

    def settled_evidence(
        self, links: Sequence[Link], before: Sequence[Traffic], tried: Sequence[Callable[[], ToxicEffect | None]]
    ) -> Evidence:
        """The evidence; while it shows nothing, look again, because the server may count late."""
        found = settled(
            lambda: self.evidence(links, before, traffic_of(links)), lambda evidence: evidence.touched is not False
        )
        if found.touched is False or "effect" in found.facts or self.engine:
            return found
        return self._proved(found, [ask() for ask in tried])

    def _proved(self, met: Evidence, seen: Sequence[ToxicEffect | None]) -> Evidence:
        """What met the toxics of a server that does not say what they do, and what a probe of ours has seen."""
        facts = {**met.facts, "probe": _summary(seen) if None not in seen else "no probe can show this effect"}
        if not self.fault.toxicity or not all(self.acted(one) for one in seen if one is not None):
            return Evidence(False, facts)
        # Of a toxicity below 1 the server does not say which connections it has drawn.
        return Evidence(None if None in seen or self.fault.toxicity < 1 else met.touched, facts)

    def evidence(self, links: Sequence[Link], before: Sequence[Traffic], after: Sequence[Traffic]) -> Evidence:
        """Whether a toxic did to the bytes what the fault promises: the embedded engine measures it.

        That a byte passed the link is not enough. Of another server it is known what met the toxics.
        """
        met = link_evidence(self.streams, links, before, after)
        ended = sum(new.ended - old.ended for old, new in zip(before, after, strict=True))
        facts: dict[str, Any] = {**met.facts, "ended": ended}
        effects = self.effects(links)
        if None in effects.values():
            meets = self.meets(facts)
            # The server counts what it has sent on, not what a toxic still held when its connection ended.
            unmet = None if ended or may_be_more(links, before, after) else False
            return Evidence(met.touched if meets is None else meets or unmet, facts)
        acted = {key: effect for key, effect in effects.items() if effect is not None and self.acted(effect)}
        facts |= {"acted_on": sorted({rank for rank, _ in acted}), "effect": _summary(effects.values())}
        return Evidence(bool(acted), facts)

    def meets(self, facts: Mapping[str, Any]) -> bool | None:
        """Whether what came is of the kind that the toxic acts on, here bytes; None if their number is unknown."""
        return True if facts["bytes"] or facts["held_bytes"] else None if facts["bytes"] is None else False

    def acted(self, effect: ToxicEffect) -> bool:
        """Whether this is at least what the fault promises; by default, whether any bytes were held or lost."""
        return held_back(effect) or bool(effect.swallowed_bytes or effect.cuts)

    def effects(self, links: Sequence[Link]) -> dict[tuple[int, str], ToxicEffect | None]:
        """What the toxics did, by rank and stream; None where the server does not say."""
        return {
            (link.rank, stream): link.effect(toxic_name(self.fault, stream))
            for link in links
            for stream in self.streams
        }


def held_back(effect: ToxicEffect) -> bool:
    """Whether bytes or an end are held now, or were until their connection ended or the toxics changed."""
    return bool(effect.waiting_ns or effect.cut_short)


_MOST = ("longest_ns", "longest_age_ns", "longest_end_ns", "waiting_ns")


def _summary(effects: Iterable[ToxicEffect | None]) -> dict[str, int]:
    """The effects of several toxics together: sums, and of durations of single pieces the longest."""
    found: dict[str, int] = {}
    for effect in effects:
        for name, value in effect.to_json().items() if effect is not None else ():
            found[name] = max(found.get(name, 0), value) if name in _MOST else found.get(name, 0) + value
    return found


def toxic_name(fault: Fault, stream: str) -> str:
    """A name of the toxic that is unique on a link and valid in a URL: the fault's name and the stream."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "-", fault.name)
    return f"{plain}-{stream}" if plain == fault.name else f"{plain}.{zlib.crc32(fault.name.encode()):08x}-{stream}"
