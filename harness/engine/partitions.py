"""Partitions: the same fault on many proxies, injected in one step and healed in one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.engine import go_json
from harness.engine.errors import ApiError, bad_body
from harness.engine.proxy import Proxy
from harness.engine.toxic_stage import Toxic
from harness.engine.toxics.base import BEHAVIOURS

HOWS: Mapping[str, Sequence[tuple[str, str, Mapping[str, Any]]]] = {
    "stall": (("x_stall", "upstream", {}), ("x_stall", "downstream", {})),
    "stall_upstream": (("x_stall", "upstream", {}),),
    "stall_downstream": (("x_stall", "downstream", {}),),
    "blackhole": (("timeout", "upstream", {}), ("timeout", "downstream", {})),
    "refuse": (("x_rst_now", "downstream", {}), ("x_refuse", "downstream", {"mode": "closed"})),
    "unreachable": (
        ("x_stall", "upstream", {}),
        ("x_stall", "downstream", {}),
        ("x_backlog", "downstream", {}),
    ),
}
"""The toxics that make a partition. A stall loses nothing; a blackhole swallows bytes, and cuts when it is healed."""


@dataclass(frozen=True)
class Partition:
    """A partition in force: its toxics by proxy."""

    how: str
    toxics: Sequence[tuple[Proxy, Toxic]]

    def names(self) -> list[str]:
        return sorted({proxy.name for proxy, _ in self.toxics})


class Partitions:
    """All partitions in force, by number. Nothing here waits, so no byte passes within one step."""

    def __init__(self, proxies: Mapping[str, Proxy]) -> None:
        self._proxies = proxies
        self._held: dict[int, Partition] = {}
        self._next = 1

    def cut(self, value: Any) -> tuple[int, Partition]:
        """Make one, on `proxies` (names) or between `groups` (labels of sources and targets); raises ApiError."""
        fields = go_json.an_object(value, "partition")
        how = go_json.text(fields, "how", "stall")
        if how not in HOWS:
            raise ApiError(400, f"how {how!r} is none of {', '.join(HOWS)}")
        hit = self._hit(fields)
        number, self._next = self._next, self._next + 1
        partition = Partition(how, [(proxy, toxic) for proxy in hit for toxic in _toxics(how, number)])
        for proxy, toxic in partition.toxics:
            proxy.add_toxic(toxic)
        self._held[number] = partition
        return number, partition

    def heal(self, number: int) -> Partition:
        """Heal one; raises ApiError if there is none. A proxy or toxic that is already gone is no error."""
        if number not in self._held:
            raise ApiError(404, f"there is no partition {number}; those that hold: {sorted(self._held) or 'none'}")
        partition = self._held.pop(number)
        for proxy, toxic in partition.toxics:
            if toxic in proxy.toxics:
                proxy.remove_toxic(toxic)
        return partition

    def _hit(self, fields: Mapping[str, Any]) -> list[Proxy]:
        names, groups = fields.get("proxies"), fields.get("groups")
        if names is not None:
            names = _texts(names)
            if missing := sorted(set(names) - set(self._proxies)):
                raise ApiError(404, f"proxy not found: {', '.join(missing)}")
            return [self._proxies[name] for name in names]
        group_of = {label: index for index, group in enumerate(go_json.a_list(groups) or ()) for label in _texts(group)}
        if len(set(group_of.values())) < 2:
            raise ApiError(400, 'name what to cut: {"proxies": [...]}, or {"groups": [[...], [...]]} of labels')
        return [
            proxy
            for proxy in self._proxies.values()
            if proxy.source in group_of
            and proxy.target in group_of
            and group_of[proxy.source] != group_of[proxy.target]
        ]


def _toxics(how: str, number: int) -> list[Toxic]:
    return [
        Toxic(f"x_partition_{number}_{place}", stream, 1.0, BEHAVIOURS[kind](**attributes))
        for place, (kind, stream, attributes) in enumerate(HOWS[how])
    ]


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise bad_body("a list of names is wanted")
    return value
