"""Moments on the wire in a play: which messages are waited for, and that the next byte waits for what they bring."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.play.poll import Poll
from harness.proxies.base import Link, Proxies, WireWatch
from harness.scenario.moment import Moment, WireMoment, parts
from harness.scenario.scenario import AnyClaim, Claim, Scenario, StepClaim
from harness.values.ops import CONTROLLER, OK, WIRE, Op, Process


def messages_of(scenario: Scenario) -> dict[WireMoment, bool]:
    """Every message that the scenario waits for, and whether a fault comes or goes with it at once."""
    found: dict[WireMoment, bool] = {}
    for moment, is_faults in _moments(scenario):
        for part in parts(moment):
            if isinstance(part, WireMoment):
                at_once = is_faults and part.plus_ns == 0
                found[part.message] = found.get(part.message, False) or at_once
    return found


def _moments(scenario: Scenario) -> Iterator[tuple[Moment, bool]]:
    for fault in scenario.faults:
        yield from ((moment, True) for moment in (fault.after, fault.until) if moment is not None)
    others = [rank.start for rank in scenario.world.ranks] + [step.after for step in scenario.steps]
    claims = [*scenario.expect, *(claim for entry in scenario.known for claim in entry.instead)]
    others += [claim.since for claim in _simple(claims)]
    yield from ((moment, False) for moment in others if moment is not None)


def _simple(claims: Sequence[Claim]) -> Iterator[StepClaim]:
    for claim in claims:
        for one in claim.claims if isinstance(claim, AnyClaim) else (claim,):
            if isinstance(one, StepClaim):
                yield one


class Wire:
    """The messages that one play waits for; as a context it waits for none after its exit.

    Args:
        record: takes an operation for each message that has passed.
    """

    def __init__(self, scenario: Scenario, record: Callable[[Op], None]) -> None:
        self._messages = messages_of(scenario)
        self._record = record
        self._watch: WireWatch | None = None

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    @property
    def is_awaited(self) -> bool:
        """Whether the scenario has a moment of the wire."""
        return bool(self._messages)

    def arm(self, proxies: Proxies, links: Sequence[Link], poll: Poll) -> None:
        """Wait from now on; raises Unsupported, ProxyLost or HarnessError."""
        watch = proxies.watch(links, self._messages)
        self._watch, self._poll = watch, poll
        poll.register(watch.fileno(), self._hear)

    def _hear(self) -> None:
        """Record what has passed."""
        if self._watch is not None:
            for message, time_ns in self._watch.read():
                self._record(Op(time_ns, Process(None, CONTROLLER), OK, WIRE, value=message.to_json()))

    def go_on(self) -> None:
        """What was to happen at the messages heard of has happened: let the next byte pass."""
        if self._watch is not None:
            self._watch.go_on()

    def leave(self) -> None:
        """Wait no longer."""
        watch, self._watch = self._watch, None
        if watch is not None:
            self._poll.unregister(watch.fileno())
            watch.close()
