"""All handlers of one master share one listening socket, in later rounds too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from harness.checkers.base import CHECKERS, Checker, Finding
from harness.history.disturbances import Disturbances
from harness.history.joins import Join, joins
from harness.history.wording import describe_call, joined
from harness.scenario.scenario import Scenario
from harness.values.attribute import Attribute, Declaration
from harness.values.endpoint import Endpoint
from harness.values.history import History
from harness.values.json import mapping
from harness.values.verdict import Verdict


@CHECKERS.register("store_reuse")
class StoreReuse(Checker):
    """Judged by the inodes of the sockets that the master's process listened on at each return."""

    declaration = Declaration(
        kind="store_reuse",
        summary="the handlers of the master share one listening socket, in later rounds too",
        attributes=(
            Attribute("handlers", "handlers", "the handlers that must share it", default=None, default_text="all"),
        ),
        example="{check: store_reuse, handlers: [main, second]}",
        details=(
            "There is something to judge when a master (the process that was given rank 0) returned from at least two"
            " of these joins. Beside the sockets at the endpoint's port, one counts that its process opened at any port"
            " during a later join."
        ),
    )

    safety = True
    explored = True

    def explore(self, scenario: Scenario, history: History) -> Verdict:
        """Only of masters that asked for one port, and never let a server go: after that a new one is no fault."""
        everybody = [join for join in joins(history) if join.is_master]
        fails = any(not join.returned for join in everybody)
        ports = {(join.call.rank, _served_port(join)) for join in everybody}
        several = len(ports) > len({rank for rank, _ in ports})
        disturbances = Disturbances(scenario, history)
        released = disturbances.released(disturbances.masters, history.ops[-1].time_ns if history.ops else 0)
        if scenario.world.torchrun is not None or fails or several or released:
            return self.nothing("a master served several ports, let a server go, or failed to join")
        return self.check(scenario, history, {})

    def check(self, scenario: Scenario, history: History, parameters: Mapping[str, Any]) -> Verdict:
        handlers = parameters.get("handlers")
        masters: dict[tuple[int, int], list[Join]] = defaultdict(list)
        for join in joins(history):
            if join.returned and join.is_master and (not handlers or join.handler in handlers):
                masters[join.call.rank, join.call.life].append(join)
        several = [returns for returns in masters.values() if len(returns) > 1 and any(map(_listeners, returns))]
        if not several:
            return self.nothing("no master returned from two joins and reported its listening sockets")
        findings = [finding for returns in several for finding in _split(returns)]
        return self.verdict(findings, "one listening socket served every join")


def _listeners(join: Join) -> dict[Any, str]:
    """What the process listened on when the join returned: inode to address.

    Only on the port that the handler was given: torch's process groups have listeners of their own.
    """
    port = _served_port(join)
    return {row.get("inode"): _address(row) for row in _rows(join) if port in (0, row.get("port"))}


def _opened(join: Join) -> dict[Any, str]:
    """What the process began to listen on during the join, at any port; empty where it was not recorded."""
    opened = mapping(join.call.returned).get("opened")
    inodes = opened if isinstance(opened, list) else []
    return {row.get("inode"): _address(row) for row in _rows(join) if row.get("inode") in inodes}


def _rows(join: Join) -> list[Mapping[str, Any]]:
    return [mapping(row) for row in mapping(join.call.returned).get("listeners") or ()]


def _address(row: Mapping[str, Any]) -> str:
    return str(Endpoint(str(row.get("address")), row.get("port") or 0))


def _served_port(join: Join) -> int:
    """The port that the handler was given to serve; 0 if any port."""
    port = str(join.call.arguments.get("endpoint", "")).rpartition(":")[2]
    return int(port) if port.isdigit() else 0


def _split(returns: list[Join]) -> list[Finding]:
    sockets: dict[Any, str] = {}
    opened_by: dict[Any, Join] = {}
    for number, join in enumerate(returns):
        for inode, address in {**_listeners(join), **(_opened(join) if number else {})}.items():
            sockets.setdefault(inode, address)
            opened_by.setdefault(inode, join)
    if len(sockets) <= 1:
        return []
    culprit = list(opened_by.values())[-1]
    listed = joined([f"{address} (inode {inode})" for inode, address in sockets.items()])
    until = f"by the end of {describe_call(culprit.call)}"
    because = f"{until}, its process had listened on {len(sockets)} sockets: {listed}"
    return [Finding(because, listed, tuple(index for join in returns for index in join.call.evidence))]
