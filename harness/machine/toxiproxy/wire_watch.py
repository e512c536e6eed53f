"""Waits for messages on the wire: the embedded engine stalls all links at them, so that a fault hits the next byte."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.machine.toxiproxy.engine_client import EngineApi
from harness.machine.toxiproxy.engine_meter import SIDES
from harness.scenario.moment import WireMoment
from harness.values.errors import HarnessError
from harness.values.wire import Wire, WireMessage


class EngineWatch:
    """Implements `harness.proxies.base.WireWatch` with the embedded engine's moments.

    Where all links must stall, the engine itself does it in one step, after the message and before the next byte; no
    byte is lost.

    Args:
        links: the rank of each link, by the link's name.
        waited: the messages to wait for, and whether all links stall at each.
    """

    def __init__(self, engine: EngineApi, links: Mapping[str, int], waited: Mapping[WireMoment, bool]) -> None:
        self._engine = engine
        self._links = links
        self._waited: dict[int, WireMoment] = {}
        self._stalls: dict[int, str] = {}
        self._standing: set[int] = set()
        self._came: dict[int, int] = {}
        self._events = engine.watch()
        try:
            for place, (moment, stands) in enumerate(waited.items()):
                self._arm(moment, f"moment-{place}" if stands else "")
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        return self._events.fileno()

    def read(self) -> Sequence[tuple[WireMoment, int]]:
        return list(self._passed(self._events.read()))

    def go_on(self) -> None:
        while self._standing:
            self._release(self._standing.pop())

    def close(self) -> None:
        self._events.close()
        for number in self._waited:
            self._engine.disarm(number)
        for number in list(self._stalls):
            self._release(number)

    def _arm(self, moment: WireMoment, stall: str) -> None:
        names = [name for name, rank in self._links.items() if not moment.ranks or rank in moment.ranks]
        if not names:
            raise HarnessError(f"{moment}: there is no link on which it could pass; name ranks that have links")
        number = self._engine.arm(
            {
                moment.direction: moment.kind,
                "key": "*" if moment.key is None else key_pattern(moment.key),
                "proxies": names,
                "count": moment.count,
                "do": [_stalled(link, stall, stream) for link in self._links for stream in SIDES if stall],
            }
        )
        self._waited[number] = moment
        if stall:
            self._stalls[number] = stall

    def _passed(self, events: Sequence[Mapping[str, Any]]) -> Iterator[tuple[WireMoment, int]]:
        for event in events:
            number = event.get("moment", 0)
            if number not in self._waited:
                continue
            if event["event"] == "moment":
                self._came[number] = event["time_ns"]
            # Links have stalled when the moment's actions are done, a little later.
            if number in self._stalls and event["event"] == "moment done":
                if event["failures"]:
                    raise HarnessError(f"{self._waited[number]}: {'; '.join(event['failures'])}")
                self._standing.add(number)
                yield self._waited[number], self._came[number]
            elif number not in self._stalls and event["event"] == "moment":
                yield self._waited[number], self._came[number]

    def _release(self, number: int) -> None:
        stall = self._stalls.pop(number, "")
        for link in self._links if stall else ():
            for stream in SIDES:
                self._engine.remove_toxic(link, f"{stall}-{stream}")


def key_pattern(key: str) -> str:
    """The engine's pattern for a key as a scenario writes it.

    A plain key is one of the workload, to which the store and the run add prefixes; a key with a slash or a wildcard is
    the whole key on the wire, whose leading slash is optional.
    """
    return key if any(sign in key for sign in "/*?[") else f"*/{key}"


def wire_of(rows: Sequence[Mapping[str, Any]], dropped: int, undecoded: int, ranks: Mapping[str, int]) -> Wire:
    """The messages of a play, numbered from 1.

    Args:
        rows: of the engine, in the order of arrival; its numbers go on over all plays.
        ranks: of each link, by its name.
    """
    numbers = {row["number"]: number for number, row in enumerate(rows, 1)}
    return Wire(
        tuple(
            WireMessage(
                number=numbers[row["number"]],
                time_ns=row["time_ns"],
                rank=ranks[row["proxy"]],
                connection=row["connection"],
                side=row["side"],
                kind=row["kind"],
                keys=tuple(row.get("keys", ())),
                fate=row["fate"],
                sent_ns=row.get("sent_ns"),
                held_ns=row.get("held_ns", 0),
                by=row.get("by", ""),
                answers=numbers.get(row.get("answers", 0)),
            )
            for row in rows
        ),
        dropped,
        undecoded,
    )


def _stalled(link: str, name: str, stream: str) -> dict[str, Any]:
    toxic = {"name": f"{name}-{stream}", "type": "x_stall", "stream": stream}
    return {"add_toxic": {"proxy": link, "toxic": toxic}}
