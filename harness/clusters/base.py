"""What a cluster promises: machines that play shards, and what is said of them.

A shard is a text, one line of JSON, which `harness.clusters.parts.player` plays on the machine; what the player says is
lines too. So an engine carries texts only, and decides nothing: which machine plays what, what is sent again and which
result counts is decided by `harness.campaign`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from harness.registry import Registry


@dataclass(frozen=True)
class Joined:
    """A machine is there that was not; one that was restarted has another name."""

    machine: str


@dataclass(frozen=True)
class Left:
    """A machine is gone, and with it all its shards."""

    machine: str
    because: str


@dataclass(frozen=True)
class Said:
    """A line of the player of a shard, in the order in which it said them."""

    ticket: int
    line: str


@dataclass(frozen=True)
class Ended:
    """A shard is over, and all its lines have come."""

    ticket: int


@dataclass(frozen=True)
class Lost:
    """A shard is over, and lines may be missing."""

    ticket: int
    because: str


Event = Joined | Left | Said | Ended | Lost


class Cluster(ABC):
    """Machines that play shards, each one at a time, in the order in which it gets them.

    Whatever an engine does again by itself, or does twice, is harmless: it may only be slow to say that a machine is
    gone. No method is called from two threads at once.
    """

    @classmethod
    @abstractmethod
    def at(cls, address: str) -> Cluster:
        """The cluster at an address, the text behind the kind of `--cluster KIND:ADDRESS`; nothing is started yet.

        Raises UsageError for an address that cannot be one, and if a package is missing.
        """

    @abstractmethod
    def open(self) -> Sequence[str]:
        """Connect; returns the names of the machines that are there. Raises UsageError if nobody answers."""

    @abstractmethod
    def submit(self, machine: str, order: str) -> int:
        """Send a shard to a machine; returns its ticket. Waits for nothing; a machine that is gone is no error."""

    @abstractmethod
    def completed(self, within_s: float) -> Sequence[Event]:
        """What has happened since the last call; waits at most so many seconds for something."""

    @abstractmethod
    def cancel(self, ticket: int) -> None:
        """End a shard, running or not; nothing needs to be said of it any more."""

    @abstractmethod
    def close(self) -> None:
        """End what runs, and what this object has started; returns within 3 seconds."""


CLUSTERS: Registry[type[Cluster]] = Registry("cluster", "harness.clusters", "rdzv_harness.clusters", Cluster)
