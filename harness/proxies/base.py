"""The contract of a proxy server: links are made all at once and removed one by one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from harness.scenario.moment import WireMoment
from harness.values.endpoint import Endpoint
from harness.values.errors import Unsupported
from harness.values.toxic_effect import ToxicEffect
from harness.values.wire import Wire


@dataclass(frozen=True)
class RetainedBytes:
    """Bytes from the master that the proxy has received but not sent on; the end of a connection counts as one.

    Attributes:
        links: names of the links that may hold them, because they have a downstream toxic.
    """

    bytes: int
    links: frozenset[str]


@dataclass(frozen=True)
class Traffic:
    """The traffic of a link so far.

    Attributes:
        accepted: connections accepted since the link was made.
        open: connections open now.
        ended: connections that have ended or begun to end.
        unreached: connections accepted by any link of the server for which the upstream could not be reached.
        upstream_bytes: bytes that ranks sent into the link, also swallowed ones; None if it cannot be read.
        downstream_bytes: bytes sent on to ranks, and those swallowed on ended connections; None if it cannot be read.
        upstream_sent, downstream_sent: bytes sent on by the proxy, if it reports them; else None.
        held: an entry for each time that more bytes were found held back, on any link to the same upstream.
        complete: False if an unnoticed connection or swallowed bytes may be missing.
    """

    accepted: int
    open: int = 0
    ended: int = 0
    unreached: int = 0
    upstream_bytes: int | None = None
    downstream_bytes: int | None = None
    upstream_sent: int | None = None
    downstream_sent: int | None = None
    held: tuple[RetainedBytes, ...] = ()
    complete: bool = True


class Link(Protocol):
    """A rank's path to an endpoint, through a proxy."""

    @property
    def rank(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> Endpoint: ...

    @property
    def upstream(self) -> Endpoint: ...

    def add_toxic(
        self, name: str, kind: str, stream: str, toxicity: float, attributes: Mapping[str, int | str]
    ) -> None:
        """Add a toxic at the end of the chain, and verify it; raises ProxyLost or HarnessError."""

    def update_toxic(self, name: str, toxicity: float, attributes: Mapping[str, int | str]) -> None:
        """Change a toxic; open connections draw their toxicity again."""

    def remove_toxic(self, name: str) -> None:
        """Remove a toxic; a missing toxic is not an error."""

    def disable(self) -> None:
        """Refuse new connections and cut open ones."""

    def enable(self) -> None:
        """Listen again on the same port."""

    def traffic(self, fresh: bool = True) -> Traffic:
        """The traffic so far; only grows. `fresh` False: as of the last look at any link of this server."""

    def effect(self, name: str) -> ToxicEffect | None:
        """What a toxic had done at the last look at any link of this server; None if the server does not say."""

    def probe(
        self, name: str, kind: str, stream: str, attributes: Mapping[str, int | str]
    ) -> AbstractContextManager[Callable[[], ToxicEffect | None]]:
        """Try a toxic on a connection of our own, on a server that does not say what its toxics do.

        The name is that of the link's toxic; it tells this probe from others at the same time. Yields a function that
        returns what was seen so far; None if nothing was tried.
        """

    def acts(self, name: str) -> int:
        """How often a toxic of the embedded engine has acted on this link, as of the last look; 0 for other servers."""


class WireWatch(Protocol):
    """Waits for messages on the wire, until it is closed."""

    def fileno(self) -> int:
        """Readable when `read` may return something."""

    def read(self) -> Sequence[tuple[WireMoment, int]]:
        """The messages that have passed since the last call, and their times; raises ProxyLost."""

    def go_on(self) -> None:
        """Release the links that such a message has stopped."""

    def close(self) -> None:
        """Stop waiting, and release all links."""


@dataclass(frozen=True)
class LinkSpec:
    """A link to make: its rank, and its upstream."""

    rank: int
    upstream: Endpoint


class Proxies(ABC):
    """A proxy server in use by one controller.

    `describe` names the server and its version for every report, e.g. `toxiproxy-server 2.12.0 (found on PATH)`.
    """

    @abstractmethod
    def describe(self) -> str: ...

    @abstractmethod
    def make(self, specs: Sequence[LinkSpec], listen: str = "127.0.0.1", seed: int = 0) -> Sequence[Link]:
        """All links of a world in one request, in the order of `specs`; raises ProxyLost or HarnessError.

        Args:
            listen: the numeric address of the server's host that links listen on.
            seed: of the random draws of toxics, on the embedded engine.
        """

    def require(self, who: str) -> None:
        """Raise Unsupported unless this server is the embedded engine, which `who` needs."""
        raise Unsupported("proxy", f"{who} needs the embedded engine; give --toxiproxy embedded, or leave it out")

    def watch(self, links: Sequence[Link], waited: Mapping[WireMoment, bool]) -> WireWatch:
        """Wait for messages, each without a duration; True: then stop all these links until `go_on`.

        Only for a server that `require` accepts; raises ProxyLost or HarnessError.
        """
        raise Unsupported("proxy", "moments on the wire need the embedded engine")

    def account(self, links: Sequence[Link]) -> Sequence[Mapping[str, Any]]:
        """JSON for the history: the traffic of each link, if the server reports it."""
        return ()

    def unrecorded(self) -> str:
        """Why `wire` returns None, in a few words; empty if it returns messages."""
        return f"{self.describe()} decodes no messages"

    def wire(self, links: Sequence[Link]) -> Wire | None:
        """The messages that passed these links, or did not; None if the server decodes none. Raises ProxyLost."""
        return None

    @abstractmethod
    def remove(self, links: Sequence[Link]) -> None:
        """Remove the links one by one, and verify that none is left; raises ProxyLost."""

    @abstractmethod
    def restart(self) -> None:
        """Replace a server that was lost; raises ProxyLost if the server is not ours."""

    @abstractmethod
    def close(self) -> None:
        """End the server if it is ours; else remove our proxies from it."""

    def log(self) -> str:
        """The server's log since the last `make`; empty if the server is not ours."""
        return ""
